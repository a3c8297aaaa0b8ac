CREATE ROLE tester SUPERUSER LOGIN PASSWORD 'tests-only';
CREATE ROLE watcher LOGIN PASSWORD 'tests-only' IN ROLE pg_monitor;
CREATE ROLE nobody_special LOGIN PASSWORD 'tests-only';
