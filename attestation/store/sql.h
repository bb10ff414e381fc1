// The statements of both stores: SQLite and PostgreSQL understand the same text, with parameters
// $1, $2, ... in the order of their first appearance. Only the types of the table differ.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coffer::store::sql {

// The table's form is SQLite's user_version. The value stands last: what is before it is read
// without the value's pages.
inline constexpr std::int64_t kSqliteForm = 1;
inline constexpr std::string_view kSqliteTable =
    "CREATE TABLE IF NOT EXISTS coffer_kv (space TEXT NOT NULL, key TEXT NOT NULL,"
    " version INTEGER NOT NULL, expires INTEGER, value BLOB NOT NULL,"
    " PRIMARY KEY (space, key));"
    "CREATE INDEX IF NOT EXISTS coffer_kv_expires ON coffer_kv (expires)"
    " WHERE expires IS NOT NULL;";
// From form 0, which was WITHOUT ROWID: values stood in the tree that is searched by key, and
// SQLite reads all pages of an entry to compare its key. A new table is taken for one of form 0: it
// is empty.
inline constexpr std::string_view kSqliteSetAside =
    "DROP INDEX IF EXISTS coffer_kv_expires;"
    "ALTER TABLE coffer_kv RENAME TO coffer_kv_0;";
inline constexpr std::string_view kSqliteTakeOver =
    "INSERT INTO coffer_kv (space, key, version, expires, value)"
    " SELECT space, key, version, expires, value FROM coffer_kv_0 ORDER BY space, key;"
    "DROP TABLE coffer_kv_0;"
    "PRAGMA user_version = 1;";
inline constexpr std::string_view kPostgresTable =
    "CREATE TABLE IF NOT EXISTS coffer_kv (space TEXT COLLATE \"C\" NOT NULL,"
    " key TEXT COLLATE \"C\" NOT NULL, value BYTEA NOT NULL, version BIGINT NOT NULL,"
    " expires BIGINT, PRIMARY KEY (space, key));"
    "CREATE INDEX IF NOT EXISTS coffer_kv_expires ON coffer_kv (expires)"
    " WHERE expires IS NOT NULL;";

enum Statement : std::size_t {
  kGet,            // space, key, now
  kVersion,        // space, key, now
  kList,           // space, from, end, after, now, limit
  kPut,            // space, key, value, version, expires
  kInsert,         // space, key, value, version, expires, now
  kUpdate,         // value, version, expires, space, key, old version, now
  kRemove,         // space, key
  kRemoveVersion,  // space, key, version, now
  kPurge,          // now
  kCount,          // space
  kTrim,           // space, how many stay
  kStatements,
};

inline constexpr std::array<std::string_view, kStatements> kText = {
    "SELECT value, version FROM coffer_kv WHERE space = $1 AND key = $2"
    " AND (expires IS NULL OR expires > $3)",
    "SELECT version FROM coffer_kv WHERE space = $1 AND key = $2"
    " AND (expires IS NULL OR expires > $3)",
    "SELECT key, version, length(value) FROM coffer_kv WHERE space = $1 AND key >= $2"
    " AND key < $3 AND key > $4 AND (expires IS NULL OR expires > $5) ORDER BY key LIMIT $6",
    "INSERT INTO coffer_kv (space, key, value, version, expires) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value,"
    " version = excluded.version, expires = excluded.expires",
    "INSERT INTO coffer_kv (space, key, value, version, expires) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value,"
    " version = excluded.version, expires = excluded.expires"
    " WHERE coffer_kv.expires IS NOT NULL AND coffer_kv.expires <= $6",
    "UPDATE coffer_kv SET value = $1, version = $2, expires = $3 WHERE space = $4 AND key = $5"
    " AND version = $6 AND (expires IS NULL OR expires > $7)",
    "DELETE FROM coffer_kv WHERE space = $1 AND key = $2",
    "DELETE FROM coffer_kv WHERE space = $1 AND key = $2 AND version = $3"
    " AND (expires IS NULL OR expires > $4)",
    "DELETE FROM coffer_kv WHERE expires <= $1",
    "SELECT count(*) FROM coffer_kv WHERE space = $1",
    "DELETE FROM coffer_kv WHERE space = $1 AND key >= (SELECT key FROM coffer_kv"
    " WHERE space = $1 ORDER BY key LIMIT 1 OFFSET $2)",
};

}  // namespace coffer::store::sql
