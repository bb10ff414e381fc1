// SQLite: one file, write-ahead log, one connection that writes and several that read.

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "attestation/store/sql_store.h"
#include "base/fd.h"

namespace coffer::store {
namespace {

constexpr int kBusyMilliseconds = 5000;

Error sqlite_error(sqlite3* db, std::string_view what) {
  const int code = sqlite3_errcode(db) & 0xff;
  Code kind = Code::kInternal;
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED) kind = Code::kUnavailable;
  if (code == SQLITE_FULL || code == SQLITE_IOERR) kind = Code::kResourceExhausted;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) kind = Code::kDataLoss;
  return {kind, fmt::format("{}: {}", what, sqlite3_errmsg(db))};
}

class SqliteConnection final : public Connection {
 public:
  SqliteConnection() = default;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  ~SqliteConnection() override {
    for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
    for (sqlite3_stmt* statement : brackets_) sqlite3_finalize(statement);
    sqlite3_close(db_);
  }

  Status open(const std::string& path) {
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path.c_str(), &db_, kFlags, nullptr) != SQLITE_OK) {
      return fail(sqlite_error(db_, fmt::format("open store '{}'", path)));
    }
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, kBusyMilliseconds);
    // The log is folded into the file every 16 MiB: pages are written often, and folded once.
    return execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4096;");
  }

  Status execute(std::string_view text) {
    if (sqlite3_exec(db_, std::string(text).c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
      return {};
    }
    return fail(sqlite_error(db_, "write the store"));
  }

  // Makes it, or gives it its present form: all or nothing.
  Status make_table() {
    COFFER_TRY_VOID(bracket(kBegin));
    auto made = make_table_within();
    if (made) return commit(true);
    rollback(true);
    return made;
  }

  Result<Outcome> run(sql::Statement which, std::span<const Param> params) override {
    COFFER_TRY(sqlite3_stmt* const statement,
               prepared(statements_.at(which), sql::kText.at(which)));
    int position = 0;
    for (const Param& param : params) bind(statement, ++position, param);
    Outcome outcome;
    const int before = sqlite3_total_changes(db_);
    int state = 0;
    while ((state = sqlite3_step(statement)) == SQLITE_ROW) outcome.rows.push_back(row(statement));
    Status status;
    if (state != SQLITE_DONE) status = fail(sqlite_error(db_, "use the store"));
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (!status) return fail(std::move(status).error());
    outcome.changed = static_cast<std::size_t>(sqlite3_total_changes(db_) - before);
    return outcome;
  }

  // In WAL mode, NORMAL writes the log without waiting for the disk: kill -9 loses nothing.
  Status begin(Durable durable, bool /*single*/) override {
    if (durable != durable_) {
      COFFER_TRY_VOID(execute(durable == Durable::kYes ? "PRAGMA synchronous=FULL"
                                                       : "PRAGMA synchronous=NORMAL"));
      durable_ = durable;
    }
    return bracket(kBegin);
  }
  Status commit(bool single) override {
    auto status = bracket(kCommit);
    if (!status) rollback(single);
    return status;
  }
  // Fails only when SQLite has rolled back by itself.
  void rollback(bool /*single*/) override { (void)bracket(kRollback); }

 private:
  Status make_table_within() {
    COFFER_TRY_VOID(execute(sql::kSqliteTable));
    COFFER_TRY(const std::int64_t form, table_form());
    if (form == sql::kSqliteForm) return {};
    if (form != 0) {
      return fail(Code::kFailedPrecondition,
                  fmt::format("open the store: its form is {}, this version knows {}", form,
                              sql::kSqliteForm));
    }
    COFFER_TRY_VOID(execute(sql::kSqliteSetAside));
    COFFER_TRY_VOID(execute(sql::kSqliteTable));
    return execute(sql::kSqliteTakeOver);
  }

  Result<std::int64_t> table_form() {
    sqlite3_stmt* statement = nullptr;
    std::int64_t form = 0;
    const bool read =
        sqlite3_prepare_v2(db_, "PRAGMA user_version", -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW;
    if (read) form = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    if (!read) return fail(sqlite_error(db_, "read the store"));
    return form;
  }

  // Around every transaction.
  enum Bracket : std::size_t { kBegin, kCommit, kRollback, kBrackets };

  Status bracket(Bracket which) {
    static constexpr std::array<std::string_view, kBrackets> kTexts = {"BEGIN IMMEDIATE", "COMMIT",
                                                                       "ROLLBACK"};
    COFFER_TRY(sqlite3_stmt* const statement, prepared(brackets_.at(which), kTexts.at(which)));
    Status status;
    if (sqlite3_step(statement) != SQLITE_DONE) status = fail(sqlite_error(db_, "write the store"));
    sqlite3_reset(statement);
    return status;
  }

  Result<sqlite3_stmt*> prepared(sqlite3_stmt*& statement, std::string_view text) {
    if (statement != nullptr) return statement;
    if (sqlite3_prepare_v3(db_, text.data(), static_cast<int>(text.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
      return fail(sqlite_error(db_, "use the store"));
    }
    return statement;
  }

  // What is bound lives until the statement has run. Of binding, only memory can run out, and then
  // the statement fails on a NULL.
  static void bind(sqlite3_stmt* statement, int position, const Param& param) {
    if (const auto* number = std::get_if<std::int64_t>(&param)) {
      sqlite3_bind_int64(statement, position, *number);
    } else if (const auto* text = std::get_if<std::string_view>(&param)) {
      sqlite3_bind_text64(statement, position, text->data(), text->size(), nullptr, SQLITE_UTF8);
    } else if (const auto* bytes = std::get_if<BytesView>(&param)) {
      // A null pointer would be NULL, not an empty blob.
      const void* data = bytes->empty() ? static_cast<const void*>("") : bytes->data();
      sqlite3_bind_blob64(statement, position, data, bytes->size(), nullptr);
    } else {
      sqlite3_bind_null(statement, position);
    }
  }

  static std::vector<Cell> row(sqlite3_stmt* statement) {
    std::vector<Cell> cells;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      if (sqlite3_column_type(statement, i) == SQLITE_INTEGER) {
        cells.emplace_back(static_cast<std::int64_t>(sqlite3_column_int64(statement, i)));
        continue;
      }
      const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement, i));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
      cells.emplace_back(data == nullptr ? Bytes() : Bytes(data, data + size));
    }
    return cells;
  }

  sqlite3* db_ = nullptr;
  std::array<sqlite3_stmt*, sql::kStatements> statements_{};
  std::array<sqlite3_stmt*, kBrackets> brackets_{};
  Durable durable_ = Durable::kYes;
};

// Secrets lie in it: nobody else reads it, nor the log and its index beside it. SQLite gives those
// the file's mode, so the file has to have its own before SQLite makes them; and it has it from its
// first moment, as a descriptor that another opens in between would stay open. What an earlier
// version left is made private too.
Status make_private(const std::string& path) {
  constexpr mode_t kMode = S_IRUSR | S_IWUSR;
  const auto error = [&] {
    return fail_errno(errno, fmt::format("make store '{}' private", path));
  };
  // One that is there is not opened: closing it would end the locks that this process has on it.
  const Fd made(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kMode));
  if (made.valid()) return {};
  if (errno != EEXIST) return fail_errno(errno, fmt::format("open store '{}'", path));
  if (::chmod(path.c_str(), kMode) != 0) return error();
  for (const char* beside : {"-wal", "-shm"}) {
    if (::chmod((path + beside).c_str(), kMode) != 0 && errno != ENOENT) return error();
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const StoreOptions& options) {
  auto writers = std::make_unique<Pool<Connection>>();
  auto writer = std::make_unique<SqliteConnection>();
  COFFER_TRY_VOID(make_private(path));
  COFFER_TRY_VOID(writer->open(path));
  COFFER_TRY_VOID(writer->make_table());
  writers->add(std::move(writer));
  auto readers = std::make_unique<Pool<Connection>>();
  for (std::size_t i = 0; i < std::max<std::size_t>(options.connections, 1); ++i) {
    auto reader = std::make_unique<SqliteConnection>();
    COFFER_TRY_VOID(reader->open(path));
    readers->add(std::move(reader));
  }
  return std::make_unique<SqlStore>("sqlite:" + path, options.clock, std::move(readers),
                                    std::move(writers));
}

}  // namespace coffer::store
