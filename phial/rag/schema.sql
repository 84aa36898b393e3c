-- One library: what was read (contents), where it stands (files), its passages, their words and their vectors.
-- Two files with the same bytes share one row of contents, so that copies and renames are neither read nor embedded again.
-- meta: embedder, dim; words (its words, a line each) of documents up to words_until.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Folders and files that the person named; `options` is the JSON of what to include and leave out.
CREATE TABLE roots (path TEXT PRIMARY KEY, options TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE contents (
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: caches of vectors go by it
  hash BLOB NOT NULL UNIQUE,             -- XXH3, 128 bits, of the file's bytes
  title TEXT NOT NULL,
  format TEXT NOT NULL,
  warnings TEXT NOT NULL                 -- one a line
);

CREATE TABLE files (
  path TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  hash BLOB,                             -- null: it could not even be opened
  content_id INTEGER REFERENCES contents (id),
  error TEXT NOT NULL DEFAULT '',        -- why it has no content; tried again when size, time or bytes change
  remedy TEXT NOT NULL DEFAULT ''
);
CREATE INDEX files_by_content ON files (content_id);
CREATE INDEX files_by_hash ON files (hash);

CREATE TABLE passages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  content_id INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,              -- from 0 within its document
  start INTEGER NOT NULL,                -- bytes of the extracted text
  end INTEGER NOT NULL,
  page INTEGER NOT NULL,                 -- 0: none
  heading TEXT NOT NULL,
  text TEXT NOT NULL,
  gap TEXT NOT NULL                      -- white space between this passage and the next, so that neighbours join exactly
);
CREATE UNIQUE INDEX passages_in_order ON passages (content_id, ordinal);

-- float16 [passages, dimensions] in the order of ordinal.
CREATE TABLE vectors (
  content_id INTEGER PRIMARY KEY REFERENCES contents (id) ON DELETE CASCADE,
  rows BLOB NOT NULL
);

-- Places of words on pages, 16 bytes each: start u32, length u16, page u16, left, top, right, bottom u16 in tenths of a
-- point. Only where the format has them.
CREATE TABLE boxes (
  content_id INTEGER PRIMARY KEY REFERENCES contents (id) ON DELETE CASCADE,
  words BLOB NOT NULL
);

-- rowid is passages.id. Scripts without spaces are cut into pairs before they come here (lexical.h).
CREATE VIRTUAL TABLE words USING fts5 (context, body, tokenize = 'porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE terms USING fts5vocab (words, row);
