-- From here on bytes of cases, and observations and ends of divergences and examples, may be packed (src/packed.rs). Nothing in the
-- tables changes; a program that does not know of it must not open the database.
UPDATE cases SET id = id WHERE id = '';
