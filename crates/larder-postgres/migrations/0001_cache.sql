-- The table of larder-postgres, with its default settings.
--
-- For those who manage schemas themselves; `PostgresStore::migrate` and `create_table = true` run exactly this, with the
-- configured names, and without UNLOGGED where `logged = true`. It may be run again. Needs PostgreSQL 14 or newer.
--
-- A role that only uses the cache needs USAGE on the schema, SELECT, INSERT, UPDATE, DELETE on the table, and
-- USAGE on the sequence.

-- UNLOGGED: several times faster to write; empty after a crash of the server, and on a standby that takes over.
CREATE UNLOGGED TABLE IF NOT EXISTS "public"."larder_cache" (
    k       bytea       PRIMARY KEY, -- the key; under a zero byte, whose turn it is to sweep
    v       bytea,                   -- the value, or
    n       bigint,                  -- the counter
    ver     bigint      NOT NULL,    -- changes with every change of the entry,
    salt    bigint      NOT NULL,    -- and with these random bits is never used again
    exp     timestamptz NOT NULL,    -- when it ends, 'infinity' for never
    written timestamptz NOT NULL     -- what was written longest ago goes first where the table is full
)
WITH (
    fillfactor = 80, -- room for updates within the page, which touch no index
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02,
    toast.autovacuum_vacuum_scale_factor = 0.02
);

-- Values are mostly compressed already: do not try again.
ALTER TABLE "public"."larder_cache" ALTER COLUMN v SET STORAGE EXTERNAL;

COMMENT ON TABLE "public"."larder_cache" IS 'larder cache, version 1';

-- Always logged, so that a crash does not set it back. Numbers need not be in order: each session takes many.
CREATE SEQUENCE IF NOT EXISTS "public"."larder_cache_version" AS bigint CACHE 1000;
