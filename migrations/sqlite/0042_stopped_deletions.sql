-- Why a deletion of many was called off by itself, e.g. confirmer_gone; null where somebody called it off.
ALTER TABLE bulk_deletions ADD COLUMN cancelled_because text;

-- How many seconds the clock of a sandbox was ahead when it was asked for: a sign-in, by everybody's clock, is held against the moment of the request.
ALTER TABLE deletions ADD COLUMN clock_offset integer NOT NULL DEFAULT 0;
ALTER TABLE confirmations ADD COLUMN clock_offset integer NOT NULL DEFAULT 0;
