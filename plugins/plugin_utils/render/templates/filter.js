(function () {
  "use strict";
  var bar = document.getElementById("filter");
  var boxes = Array.prototype.slice.call(document.querySelectorAll("details.hostbox"));
  if (bar) {
    bar.hidden = false;
    var field = document.getElementById("query");
    var told = document.getElementById("told");
    field.addEventListener("input", function () {
      var words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      boxes.forEach(function (box) {
        var text = box.textContent.toLowerCase();
        var fits = words.every(function (word) { return text.indexOf(word) >= 0; });
        box.hidden = !fits;
        shown += fits ? 1 : 0;
      });
      told.textContent = words.length ? shown + " of " + boxes.length : "";
    });
    document.getElementById("unfold").addEventListener("click", function () { fold(true); });
    document.getElementById("foldup").addEventListener("click", function () { fold(false); });
  }
  function fold(open) {
    boxes.forEach(function (box) { box.open = open; });
  }
  function reveal() {
    var target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", reveal);
  reveal();
})();
