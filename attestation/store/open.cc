#include <fmt/format.h>

#include "attestation/store/store.h"

namespace coffer::store {

Result<std::unique_ptr<Store>> open_store(const std::string& where, const StoreOptions& options) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (where.starts_with(kSqlite)) return open_sqlite(where.substr(kSqlite.size()), options);
  if (where.starts_with("postgresql://") || where.starts_with("postgres://") ||
      where.find('=') != std::string::npos) {
    return open_postgres(where, options);
  }
  return fail(Code::kInvalidArgument,
              fmt::format("open store '{}': want sqlite:PATH or a PostgreSQL connection string "
                          "(postgresql://HOST/DATABASE)",
                          where));
}

}  // namespace coffer::store
