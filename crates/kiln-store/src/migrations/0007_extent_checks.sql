-- What the file of an extent must hold, so that a check can tell. Of files from before this
-- step it is not known.
ALTER TABLE extent ADD COLUMN size_bytes INTEGER;
ALTER TABLE extent ADD COLUMN md5 BLOB;
