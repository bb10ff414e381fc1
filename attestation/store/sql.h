// The statements of both stores: SQLite and PostgreSQL understand the same text, with parameters
// $1, $2, ... in the order of their first appearance. Only the types of the table differ.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace coffer::store::sql {

inline constexpr std::string_view kSqliteTable =
    "CREATE TABLE IF NOT EXISTS coffer_kv (space TEXT NOT NULL, key TEXT NOT NULL,"
    " value BLOB NOT NULL, version INTEGER NOT NULL, expires INTEGER,"
    " PRIMARY KEY (space, key)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS coffer_kv_expires ON coffer_kv (expires)"
    " WHERE expires IS NOT NULL;";
inline constexpr std::string_view kPostgresTable =
    "CREATE TABLE IF NOT EXISTS coffer_kv (space TEXT COLLATE \"C\" NOT NULL,"
    " key TEXT COLLATE \"C\" NOT NULL, value BYTEA NOT NULL, version BIGINT NOT NULL,"
    " expires BIGINT, PRIMARY KEY (space, key));"
    "CREATE INDEX IF NOT EXISTS coffer_kv_expires ON coffer_kv (expires)"
    " WHERE expires IS NOT NULL;";

enum Statement : std::size_t {
  kGet,            // space, key, now
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
