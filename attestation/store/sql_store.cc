#include "attestation/store/sql_store.h"

#include <fmt/format.h>

namespace coffer::store {
namespace {

// Two batches that touch the same keys in another order: one of them is told to try again.
constexpr int kAttempts = 5;

Result<std::int64_t> integer(const Cell& cell) {
  if (const auto* number = std::get_if<std::int64_t>(&cell)) return *number;
  return fail(Code::kDataLoss, "read the store: a column holds no integer");
}

Result<Bytes> bytes(Cell& cell) {
  if (auto* value = std::get_if<Bytes>(&cell)) return std::move(*value);
  return fail(Code::kDataLoss, "read the store: a column holds no bytes");
}

Param expiry(const Write& write) { return write.expires ? Param(*write.expires) : Param(); }

}  // namespace

Result<std::optional<Entry>> SqlStore::get(std::string_view space, std::string_view key) {
  COFFER_TRY_VOID(check_name(space, key));
  const std::array<Param, 3> params = {space, key, clock_()};
  COFFER_TRY(auto outcome, hot_reader()->run(sql::kGet, params));
  if (outcome.rows.empty()) return std::optional<Entry>();
  auto& row = outcome.rows.front();
  Entry entry;
  COFFER_TRY(entry.value, bytes(row.at(0)));
  COFFER_TRY(entry.version, integer(row.at(1)));
  return entry;
}

Result<std::optional<Version>> SqlStore::version(std::string_view space, std::string_view key) {
  COFFER_TRY_VOID(check_name(space, key));
  const std::array<Param, 3> params = {space, key, clock_()};
  COFFER_TRY(auto outcome, hot_reader()->run(sql::kVersion, params));
  if (outcome.rows.empty()) return std::optional<Version>();
  COFFER_TRY(const Version version, integer(outcome.rows.front().at(0)));
  return std::optional<Version>(version);
}

Pool<Connection>::Lease SqlStore::hot_reader() {
  if (writers_ != nullptr) {
    if (auto writer = writers_->try_take()) return *std::move(writer);
  }
  return readers_->take();
}

Result<std::vector<Listed>> SqlStore::list(std::string_view space, std::string_view prefix,
                                           std::string_view after, std::size_t limit) {
  COFFER_TRY_VOID(check_name(space, prefix.empty() ? "a" : prefix));
  const std::string end = end_of_prefix(prefix);
  const auto most = static_cast<std::int64_t>(std::min(limit, kMaxBatch));
  const std::array<Param, 6> params = {space, prefix, std::string_view(end), after, clock_(), most};
  COFFER_TRY(auto outcome, readers_->take()->run(sql::kList, params));
  std::vector<Listed> found;
  found.reserve(outcome.rows.size());
  for (auto& row : outcome.rows) {
    Listed item;
    COFFER_TRY(const Bytes key, bytes(row.at(0)));
    item.key = as_text(key);
    COFFER_TRY(item.version, integer(row.at(1)));
    COFFER_TRY(const std::int64_t size, integer(row.at(2)));
    item.size = static_cast<std::size_t>(size);
    found.push_back(std::move(item));
  }
  return found;
}

Result<bool> SqlStore::apply(Connection& connection, const Write& write) {
  const Version version = new_version();
  const std::string_view space = write.space;
  const std::string_view key = write.key;
  const BytesView value = write.value ? BytesView(*write.value) : BytesView();
  const auto run = [&](sql::Statement statement,
                       std::initializer_list<Param> params) -> Result<std::size_t> {
    COFFER_TRY(const auto outcome, connection.run(statement, {params.begin(), params.size()}));
    return outcome.changed;
  };
  Result<std::size_t> changed = 0;
  switch (write.condition) {
    case Write::If::kAlways:
      changed = write.value ? run(sql::kPut, {space, key, value, version, expiry(write)})
                            : run(sql::kRemove, {space, key});
      if (!changed) return fail(std::move(changed).error());
      return true;
    case Write::If::kAbsent:
      changed = run(sql::kInsert, {space, key, value, version, expiry(write), clock_()});
      break;
    case Write::If::kVersion:
      changed = write.value ? run(sql::kUpdate, {value, version, expiry(write), space, key,
                                                 write.version, clock_()})
                            : run(sql::kRemoveVersion, {space, key, write.version, clock_()});
      break;
  }
  if (!changed) return fail(std::move(changed).error());
  return *changed == 1;
}

Result<bool> SqlStore::commit_once(std::span<const Write> writes, Durable durable) {
  auto connection = writers().take();
  const bool single = writes.size() == 1;
  COFFER_TRY_VOID(connection->begin(durable, single));
  for (const Write& write : writes) {
    auto held = apply(*connection, write);
    if (held && *held) continue;
    connection->rollback(single);
    return held;
  }
  COFFER_TRY_VOID(connection->commit(single));
  return true;
}

Result<bool> SqlStore::commit(std::span<const Write> writes, Durable durable) {
  COFFER_TRY_VOID(check_writes(writes));
  if (writes.empty()) return true;
  for (int attempt = 1;; ++attempt) {
    auto done = commit_once(writes, durable);
    if (done || done.error().code() != Code::kAborted) return done;
    if (attempt == kAttempts) {
      return fail(Code::kUnavailable,
                  fmt::format("{} (tried {} times)", done.error().to_string(), kAttempts));
    }
  }
}

Result<std::size_t> SqlStore::sweep(sql::Statement statement, std::span<const Param> params) {
  auto connection = writers().take();
  COFFER_TRY_VOID(connection->begin(Durable::kNo, true));
  auto outcome = connection->run(statement, params);
  if (!outcome) {
    connection->rollback(true);
    return fail(std::move(outcome).error());
  }
  COFFER_TRY_VOID(connection->commit(true));
  return outcome->changed;
}

Result<std::size_t> SqlStore::purge() {
  const std::array<Param, 1> params = {clock_()};
  return sweep(sql::kPurge, params);
}

Result<std::size_t> SqlStore::count(std::string_view space) {
  COFFER_TRY_VOID(check_name(space, "a"));
  const std::array<Param, 1> params = {space};
  COFFER_TRY(auto outcome, readers_->take()->run(sql::kCount, params));
  if (outcome.rows.empty()) return fail(Code::kDataLoss, "count in the store: no answer");
  COFFER_TRY(const std::int64_t number, integer(outcome.rows.front().at(0)));
  return static_cast<std::size_t>(number);
}

Result<std::size_t> SqlStore::trim(std::string_view space, std::size_t keep) {
  COFFER_TRY_VOID(check_name(space, "a"));
  const std::array<Param, 2> params = {space, static_cast<std::int64_t>(keep)};
  return sweep(sql::kTrim, params);
}

}  // namespace coffer::store
