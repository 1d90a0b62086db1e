-- What the blocks staged for a name were written with, as JSON. Of blocks from before this step
-- no key was kept.
ALTER TABLE upload ADD COLUMN encryption TEXT;
