-- The second that the last import began in. No two have the same, so that the
-- households of each are known by when they were made.
INSERT INTO counters (name, value) VALUES ('import', 0);
