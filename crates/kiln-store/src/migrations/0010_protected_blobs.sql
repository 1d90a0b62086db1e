-- The editions that a policy or a legal hold keeps as they are, or kept once: a container that
-- has such a one now is not deleted, and there are few. In JSON a quote within a text has a
-- backslash before it, so that only the member itself is found.
CREATE INDEX blob_protected ON blob (container_key) WHERE instr(details, '"protection":') > 0;
