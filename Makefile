# Every target works from nothing and works twice; whatever they make lives under .cache.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := daily
.DELETE_ON_ERROR:

CACHE := $(CURDIR)/.cache
VENV := $(CACHE)/venv
COLLECTIONS := $(CACHE)/collections
LINK := $(COLLECTIONS)/ansible_collections/fleetcare/maintenance

# The interpreter itself and not a version manager's shim: Ansible looks for its neighbours.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell python$(v) -c 'import ensurepip, sys; print(sys.executable)' 2>/dev/null)))

key = $(firstword $(shell cat $(1) | sha256sum | cut -c1-16))
RUN_STAMP := $(VENV)/.run-$(call key,requirements.txt)
TEST_STAMP := $(VENV)/.test-$(call key,requirements.txt requirements-units.txt requirements-test.txt)

export PATH := $(VENV)/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(COLLECTIONS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ifeq ($(strip $(HOME)),)
export HOME := $(CACHE)/home
endif

# Four stages at a time share two cores best in this order: one that computes beside three that wait.
STAGES := postgresql postgresql_repairs lint integration units faults contract molecule
run_stages = PYTHONPATH=$(COLLECTIONS) python -m ansible_collections.fleetcare.maintenance.tests.stages.run

.PHONY: daily venv venv-run test bench docs images clean build $(STAGES)

daily: venv-run  ## the daily cadence on this machine
	ansible-playbook fleetcare.maintenance.daily -i inventories/local $(ARGS)

venv-run: $(RUN_STAMP) $(LINK)
venv: $(TEST_STAMP) $(LINK)

$(LINK):
	@mkdir -p $(@D)
	@ln -sfn ../../../.. $@

# The lock keeps two makes in one checkout from filling the same directory.
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@mkdir -p $(CACHE) && exec 9>$(CACHE)/venv.lock && flock 9 && if [ ! -e $@ ]; then \
	  [ -x $(VENV)/bin/pip ] || "$(PYTHON)" -m venv $(VENV); \
	  echo "Installing $(1)"; \
	  $(VENV)/bin/pip install -qq $(foreach r,$(1),-r $(r)); \
	  rm -f $(VENV)/.$(2)-*; touch $@; \
	fi
endef

$(RUN_STAMP): requirements.txt
	$(call install,requirements.txt,run)

$(TEST_STAMP): requirements.txt requirements-units.txt requirements-test.txt
	$(call install,requirements.txt requirements-test.txt,test)
	@touch $(RUN_STAMP)

test: venv  ## every stage, four at a time, and a summary
	@$(run_stages) --lanes 4 $(STAGES)

$(STAGES) bench docs images: venv
	@$(run_stages) $@

build: venv-run  ## the tarball for Galaxy
	ansible-galaxy collection build --force --output-path $(CACHE)/build

clean:  ## forget everything that was made
	rm -rf $(CACHE)
