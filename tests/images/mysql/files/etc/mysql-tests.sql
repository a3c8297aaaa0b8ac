CREATE USER tester@'%' IDENTIFIED BY 'tests-only';
GRANT ALL ON *.* TO tester@'%' WITH GRANT OPTION;
CREATE USER watcher@'%' IDENTIFIED BY 'tests-only';
CREATE USER nobody_special@'%' IDENTIFIED BY 'tests-only';
CREATE DATABASE shop;
