// The store on top of a database connection: what SQLite and PostgreSQL have in common.
#pragma once

#include <variant>

#include "attestation/store/pool.h"
#include "attestation/store/sql.h"
#include "attestation/store/store.h"

namespace coffer::store {

// One that is null, an integer, a text or bytes; viewed for the time of the call.
using Param = std::variant<std::monostate, std::int64_t, std::string_view, BytesView>;
using Cell = std::variant<std::int64_t, Bytes>;

struct Outcome {
  std::vector<std::vector<Cell>> rows;
  std::size_t changed = 0;  // rows, of a statement that writes
};

// One connection; one thread at a time.
class Connection {
 public:
  virtual ~Connection() = default;
  [[nodiscard]] virtual Result<Outcome> run(sql::Statement statement,
                                            std::span<const Param> params) = 0;
  // A transaction for writing. `single`: one statement only, which needs no brackets.
  [[nodiscard]] virtual Status begin(Durable durable, bool single) = 0;
  [[nodiscard]] virtual Status commit(bool single) = 0;
  virtual void rollback(bool single) = 0;
};

class SqlStore final : public Store {
 public:
  // `writers` may be `readers`: then every connection does both.
  SqlStore(std::string description, Clock clock, std::unique_ptr<Pool<Connection>> readers,
           std::unique_ptr<Pool<Connection>> writers)
      : description_(std::move(description)),
        clock_(std::move(clock)),
        readers_(std::move(readers)),
        writers_(std::move(writers)) {}

  [[nodiscard]] Result<std::optional<Entry>> get(std::string_view space,
                                                 std::string_view key) override;
  [[nodiscard]] Result<std::optional<Version>> version(std::string_view space,
                                                       std::string_view key) override;
  [[nodiscard]] Result<std::vector<Listed>> list(std::string_view space, std::string_view prefix,
                                                 std::string_view after,
                                                 std::size_t limit) override;
  [[nodiscard]] Result<bool> commit(std::span<const Write> writes, Durable durable) override;
  [[nodiscard]] Result<std::size_t> purge() override;
  [[nodiscard]] Result<std::size_t> count(std::string_view space) override;
  [[nodiscard]] Result<std::size_t> trim(std::string_view space, std::size_t keep) override;
  [[nodiscard]] std::string describe() const override { return description_; }

 private:
  [[nodiscard]] Pool<Connection>& writers() { return writers_ ? *writers_ : *readers_; }
  // The writer when it is free: SQLite drops a connection's pages whenever another one has written,
  // so that only the writer finds its own in memory. A reader while the writer waits for the disk.
  [[nodiscard]] Pool<Connection>::Lease hot_reader();
  [[nodiscard]] Result<bool> commit_once(std::span<const Write> writes, Durable durable);
  // Of one statement that removes: how many rows.
  [[nodiscard]] Result<std::size_t> sweep(sql::Statement statement, std::span<const Param> params);
  // False: its condition did not hold.
  [[nodiscard]] Result<bool> apply(Connection& connection, const Write& write);

  std::string description_;
  Clock clock_;
  std::unique_ptr<Pool<Connection>> readers_, writers_;
};

}  // namespace coffer::store
