// What coffer-kbs keeps: values by namespace and key, written conditionally and in batches. One
// contract, two stores: SQLite in a file for one server, PostgreSQL for several that share it.
//
// A value has a version: an opaque number, new with every write and never used twice, so that
// "write if nobody else did" is a condition on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::store {

// Seconds since 1970.
using UnixTime = std::int64_t;
using Version = std::int64_t;

inline constexpr std::size_t kMaxKey = 512;
inline constexpr std::size_t kMaxValue = std::size_t{8} << 20U;
inline constexpr std::size_t kMaxBatch = 65536;

struct Entry {
  Bytes value;
  Version version = 0;
};

struct Listed {
  std::string key;
  Version version = 0;
  std::size_t size = 0;  // of the value
};

struct Write {
  enum class If : std::uint8_t { kAlways, kAbsent, kVersion };

  std::string space, key;
  // Nothing: the key is removed.
  std::optional<Bytes> value = std::nullopt;
  If condition = If::kAlways;
  Version version = 0;  // with kVersion
  // From then on the key counts as absent. Of a removal: not looked at.
  std::optional<UnixTime> expires = std::nullopt;
};

// False: survives the death of this program, but perhaps not of the machine. For what a client can
// do again.
enum class Durable : bool { kNo, kYes };

class Store {
 public:
  virtual ~Store() = default;

  // Nothing when absent or expired. All calls: thread-safe, blocking; kInvalidArgument for a
  // namespace or key of foreign characters, kUnavailable when the store cannot be reached or is
  // busy, and asking again may help.
  [[nodiscard]] virtual Result<std::optional<Entry>> get(std::string_view space,
                                                         std::string_view key) = 0;
  // Of the entry that get() would give: for what was read before, and is large.
  [[nodiscard]] virtual Result<std::optional<Version>> version(std::string_view space,
                                                               std::string_view key) = 0;
  // Keys in byte order that start with `prefix` and stand after `after`, at most `limit`.
  [[nodiscard]] virtual Result<std::vector<Listed>> list(std::string_view space,
                                                         std::string_view prefix,
                                                         std::string_view after,
                                                         std::size_t limit) = 0;
  // All or nothing. False: a condition did not hold, and nothing was written. A write whose success
  // was told is there after a kill -9; with Durable::kYes also after a loss of power.
  [[nodiscard]] virtual Result<bool> commit(std::span<const Write> writes, Durable durable) = 0;
  // Removes what has expired; how many.
  [[nodiscard]] virtual Result<std::size_t> purge() = 0;
  // How many keys a namespace has; what has expired counts until purge().
  [[nodiscard]] virtual Result<std::size_t> count(std::string_view space) = 0;
  // Removes the last keys in byte order until `keep` are left; how many.
  [[nodiscard]] virtual Result<std::size_t> trim(std::string_view space, std::size_t keep) = 0;
  // For people: "sqlite:/var/lib/...", without passwords.
  [[nodiscard]] virtual std::string describe() const = 0;

  [[nodiscard]] Status put(std::string_view space, std::string_view key, BytesView value);
  // False: it was there already.
  [[nodiscard]] Result<bool> insert(std::string_view space, std::string_view key, BytesView value,
                                    std::optional<UnixTime> expires = std::nullopt,
                                    Durable durable = Durable::kYes);
  // False: there was none.
  [[nodiscard]] Result<bool> remove(std::string_view space, std::string_view key);
};

using Clock = std::function<UnixTime()>;
[[nodiscard]] UnixTime system_clock();

struct StoreOptions {
  std::size_t connections = 4;  // that read or, with PostgreSQL, write at a time
  Clock clock = system_clock;
};

// "sqlite:PATH", or what libpq takes: "postgresql://...", "host=... dbname=...". Makes the tables
// when they are not there. kInvalidArgument on anything else.
[[nodiscard]] Result<std::unique_ptr<Store>> open_store(const std::string& where,
                                                        const StoreOptions& options = {});
[[nodiscard]] Result<std::unique_ptr<Store>> open_sqlite(const std::string& path,
                                                         const StoreOptions& options);
[[nodiscard]] Result<std::unique_ptr<Store>> open_postgres(const std::string& where,
                                                           const StoreOptions& options);

// Namespace: [a-z0-9_]{1,64}. Key: 1 to kMaxKey of [A-Za-z0-9-_./:%].
[[nodiscard]] Status check_name(std::string_view space, std::string_view key);
[[nodiscard]] Status check_writes(std::span<const Write> writes);
// For the stores: never zero, never twice.
[[nodiscard]] Version new_version();
// The first key that does not start with `prefix` any more.
[[nodiscard]] std::string end_of_prefix(std::string_view prefix);

}  // namespace coffer::store
