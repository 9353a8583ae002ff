-- When lanes seal with an HPKE key. Earlier keys have neither: from their making on,
-- without an end.
ALTER TABLE keys ADD COLUMN seals_from  INTEGER;
ALTER TABLE keys ADD COLUMN seals_until INTEGER;

-- Every change of the keys, and every manifest, takes a number of its own, so that
-- servers need only look at the counter to follow them.
INSERT INTO counters (name, value) VALUES ('keys', 0);

UPDATE keys SET state = 'active' WHERE state IN ('sealing', 'open-only');
