// PostgreSQL through libpq: several servers share one store.

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <bitset>

#include "attestation/store/sql_store.h"
#include "base/byte_reader.h"

namespace coffer::store {
namespace {

constexpr std::size_t kMaxParams = 8;

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using ConnectionPtr = std::unique_ptr<PGconn, Finish>;
using ResultPtr = std::unique_ptr<PGresult, Finish>;

std::string one_line(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text;
}

Error result_error(PGconn* connection, const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string_view code = state == nullptr ? "" : state;
  Code kind = Code::kInternal;
  // Serialization failure, deadlock: the transaction is undone, and may be tried again.
  if (code == "40001" || code == "40P01") kind = Code::kAborted;
  if (PQstatus(connection) != CONNECTION_OK || code.starts_with("57") || code.starts_with("08")) {
    kind = Code::kUnavailable;
  }
  if (code.starts_with("53")) kind = Code::kResourceExhausted;
  return {kind, "use the store: " + one_line(PQerrorMessage(connection))};
}

// Parameters as libpq wants them: integers as text, bytes as they are.
class Params {
 public:
  explicit Params(std::span<const Param> params) {
    for (const Param& param : params) add(param);
  }
  [[nodiscard]] int count() const { return static_cast<int>(count_); }
  [[nodiscard]] const char* const* values() const { return values_.data(); }
  [[nodiscard]] const int* lengths() const { return lengths_.data(); }
  [[nodiscard]] const int* formats() const { return formats_.data(); }

 private:
  void add(const Param& param) {
    if (const auto* number = std::get_if<std::int64_t>(&param)) {
      add(texts_.at(count_) = std::to_string(*number), 0);
    } else if (const auto* text = std::get_if<std::string_view>(&param)) {
      add(texts_.at(count_) = std::string(*text), 0);
    } else if (const auto* bytes = std::get_if<BytesView>(&param)) {
      add(as_text(*bytes), 1);
    } else {
      values_.at(count_++) = nullptr;
    }
  }
  void add(std::string_view value, int format) {
    lengths_.at(count_) = static_cast<int>(value.size());
    formats_.at(count_) = format;
    // A null pointer would be NULL, not an empty value.
    values_.at(count_++) = value.data() == nullptr ? "" : value.data();
  }

  std::size_t count_ = 0;
  std::array<std::string, kMaxParams> texts_;
  std::array<const char*, kMaxParams> values_{};
  std::array<int, kMaxParams> lengths_{};
  std::array<int, kMaxParams> formats_{};
};

class PostgresConnection final : public Connection {
 public:
  explicit PostgresConnection(ConnectionPtr connection) : connection_(std::move(connection)) {}

  Status execute(const char* text) {
    const ResultPtr result(PQexec(connection_.get(), text));
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return {};
    return fail(result_error(connection_.get(), result.get()));
  }

  Result<Outcome> run(sql::Statement which, std::span<const Param> params) override {
    COFFER_TRY_VOID(connected());
    COFFER_TRY_VOID(prepared(which));
    const Params converted(params);
    const ResultPtr result(PQexecPrepared(connection_.get(), name(which).c_str(), converted.count(),
                                          converted.values(), converted.lengths(),
                                          converted.formats(), 1));
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
      return fail(result_error(connection_.get(), result.get()));
    }
    Outcome outcome;
    outcome.changed = static_cast<std::size_t>(std::atoll(PQcmdTuples(result.get())));
    for (int i = 0; i < PQntuples(result.get()); ++i) {
      COFFER_TRY(auto cells, row(result.get(), i));
      outcome.rows.push_back(std::move(cells));
    }
    return outcome;
  }

  Status begin(Durable durable, bool single) override {
    COFFER_TRY_VOID(connected());
    if (durable != durable_) {
      COFFER_TRY_VOID(execute(durable == Durable::kYes ? "SET synchronous_commit = on"
                                                       : "SET synchronous_commit = off"));
      durable_ = durable;
    }
    if (single) return {};
    return execute("BEGIN");
  }
  Status commit(bool single) override {
    if (single) return {};
    return execute("COMMIT");
  }
  // Fails only when the connection is gone, and the transaction with it.
  void rollback(bool single) override {
    if (!single) (void)execute("ROLLBACK");
  }

 private:
  static std::string name(sql::Statement which) {
    return fmt::format("coffer_{}", static_cast<std::size_t>(which));
  }

  // A server that went and came back is found again here, between transactions.
  Status connected() {
    if (PQstatus(connection_.get()) == CONNECTION_OK) return {};
    PQreset(connection_.get());
    prepared_.reset();
    durable_ = Durable::kYes;
    if (PQstatus(connection_.get()) == CONNECTION_OK) return {};
    return fail(Code::kUnavailable,
                "connect to the store: " + one_line(PQerrorMessage(connection_.get())));
  }

  Status prepared(sql::Statement which) {
    if (prepared_.test(which)) return {};
    const ResultPtr result(PQprepare(connection_.get(), name(which).c_str(),
                                     std::string(sql::kText.at(which)).c_str(), 0, nullptr));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
      return fail(result_error(connection_.get(), result.get()));
    }
    prepared_.set(which);
    return {};
  }

  static Result<std::vector<Cell>> row(const PGresult* result, int index) {
    std::vector<Cell> cells;
    for (int i = 0; i < PQnfields(result); ++i) {
      const BytesView bytes = as_bytes(
          {PQgetvalue(result, index, i), static_cast<std::size_t>(PQgetlength(result, index, i))});
      ByteReader reader(bytes, "column");
      // int4 and int8 in network order; text and bytea as they are.
      const Oid type = PQftype(result, i);
      constexpr Oid kInt8 = 20;
      constexpr Oid kInt4 = 23;
      if (type == kInt8) {
        COFFER_TRY(const std::uint64_t value, reader.u64_be());
        cells.emplace_back(static_cast<std::int64_t>(value));
      } else if (type == kInt4) {
        COFFER_TRY(const std::uint32_t value, reader.u32_be());
        cells.emplace_back(static_cast<std::int64_t>(value));
      } else {
        cells.emplace_back(Bytes(bytes.begin(), bytes.end()));
      }
    }
    return cells;
  }

  ConnectionPtr connection_;
  std::bitset<sql::kStatements> prepared_;
  Durable durable_ = Durable::kYes;
};

// What `where` does not say for itself: without limits a database that neither answers nor refuses
// holds a thread for minutes, and soon all of them.
PGconn* open_connection(const std::string& where) {
  constexpr int kExpandName = 1;
  const std::array<const char*, 4> keywords = {"connect_timeout", "tcp_user_timeout", "dbname",
                                               nullptr};
  const std::array<const char*, 4> values = {"5", "15000", where.c_str(), nullptr};
  return PQconnectdbParams(keywords.data(), values.data(), kExpandName);
}

Result<std::unique_ptr<PostgresConnection>> connect(const std::string& where) {
  ConnectionPtr connection(open_connection(where));
  if (connection == nullptr || PQstatus(connection.get()) != CONNECTION_OK) {
    return fail(Code::kUnavailable,
                "connect to the store: " + one_line(PQerrorMessage(connection.get())));
  }
  // "NOTICE: relation already exists" is no news.
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  return std::make_unique<PostgresConnection>(std::move(connection));
}

std::string describe(const std::string& where) {
  char* problem = nullptr;
  PQconninfoOption* options = PQconninfoParse(where.c_str(), &problem);
  if (problem != nullptr) PQfreemem(problem);
  std::string text = "postgresql:";
  for (const auto* option = options; option != nullptr && option->keyword != nullptr; ++option) {
    const std::string_view key = option->keyword;
    if (option->val == nullptr || (key != "host" && key != "port" && key != "dbname")) continue;
    text += fmt::format(" {}={}", key, option->val);
  }
  PQconninfoFree(options);
  return text;
}

}  // namespace

Result<std::unique_ptr<Store>> open_postgres(const std::string& where,
                                             const StoreOptions& options) {
  auto pool = std::make_unique<Pool<Connection>>();
  for (std::size_t i = 0; i < std::max<std::size_t>(options.connections, 1); ++i) {
    COFFER_TRY(auto connection, connect(where));
    if (i == 0) {
      // Two servers that start at once would both make the table.
      COFFER_TRY_VOID(connection->execute("SELECT pg_advisory_lock(7305427313)"));
      auto made = connection->execute(std::string(sql::kPostgresTable).c_str());
      COFFER_TRY_VOID(connection->execute("SELECT pg_advisory_unlock(7305427313)"));
      COFFER_TRY_VOID(std::move(made));
    }
    pool->add(std::move(connection));
  }
  return std::make_unique<SqlStore>(describe(where), options.clock, std::move(pool), nullptr);
}

}  // namespace coffer::store
