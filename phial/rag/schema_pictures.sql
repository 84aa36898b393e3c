-- What version 3 of the schema adds to version 2: which picture a figure is, as descriptions.hash has it. NULL: nobody
-- has described it since. With the last figure that is a picture its descriptions can go.
ALTER TABLE figures ADD COLUMN picture BLOB;
