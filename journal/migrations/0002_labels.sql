-- What else a label says: JSON of error, reference, price and weight, as lines
-- have them on the wire; empty for most.

ALTER TABLE lines ADD COLUMN label TEXT NOT NULL DEFAULT '';
