-- What version 2 of the schema adds to version 1: pictures in documents.
CREATE TABLE figures (
  content_id INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,              -- from 0, by start
  start INTEGER NOT NULL,                -- bytes of the extracted text that tell of it
  end INTEGER NOT NULL,
  page INTEGER NOT NULL,                 -- 0: the file itself is the picture
  left REAL NOT NULL,                    -- points on the page; of page 0 pixels
  top REAL NOT NULL,
  right REAL NOT NULL,
  bottom REAL NOT NULL,
  PRIMARY KEY (content_id, ordinal)
) WITHOUT ROWID;

-- What models wrote about pictures, so that none is described twice.
CREATE TABLE descriptions (
  hash BLOB NOT NULL,                    -- XXH3, 128 bits, of width, height and pixels
  model TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (hash, model)
) WITHOUT ROWID;
-- The model whose descriptions stand in the document's text; kReadWithoutFigures and kDescribedInPart of store.h.
ALTER TABLE contents ADD COLUMN described_by TEXT NOT NULL DEFAULT '';
-- What version 1 read without looking for figures, or refused for having no text, is read again.
UPDATE contents SET described_by = '/read without figures' WHERE format IN ('pdf', 'image');
UPDATE files SET hash = NULL WHERE content_id IS NULL AND
  (path LIKE '%.png' OR path LIKE '%.jpg' OR path LIKE '%.jpeg' OR path LIKE '%.webp' OR path LIKE '%.gif' OR
   path LIKE '%.pdf');
