#include "tests/attestation/store/postgres_cluster.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

namespace coffer::testing {
namespace {

namespace fs = std::filesystem;

// Debian keeps the server's programs out of PATH, one folder a version.
std::string find_programs() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const fs::path bin = entry.path() / "bin";
    if (fs::exists(bin / "initdb") && fs::exists(bin / "pg_ctl")) return bin;
  }
  return {};
}

// As user postgres when root; the folder is ours and holds no quote.
bool run(const std::string& command) {
  const std::string quiet = command + " >/dev/null 2>&1 </dev/null";
  if (::geteuid() != 0) return std::system(quiet.c_str()) == 0;
  return std::system(fmt::format("cd / && setpriv --reuid=postgres --regid=postgres --clear-groups "
                                 "sh -c '{}' >/dev/null 2>&1 </dev/null",
                                 command)
                         .c_str()) == 0;
}

}  // namespace

std::optional<PostgresCluster> PostgresCluster::start(std::string& why) {
  const std::string programs = find_programs();
  if (programs.empty()) {
    why = "PostgreSQL's server is not installed (package postgresql)";
    return std::nullopt;
  }
  std::string folder = (fs::temp_directory_path() / "coffer-pg-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    why = "no temporary folder";
    return std::nullopt;
  }
  if (::geteuid() == 0 && std::system(("chown postgres: " + folder).c_str()) != 0) {
    why = "there is no user postgres";
    return std::nullopt;
  }
  PostgresCluster cluster(programs, folder);
  const bool up =
      run(fmt::format("{}/initdb -D {}/data -A trust -U coffer --no-sync", programs, folder)) &&
      run(fmt::format("{}/pg_ctl -D {}/data -w -t 60 -l {}/log -o \"-k {} -h \\\"\\\" -c "
                      "max_connections=60\" start",
                      programs, folder, folder, folder));
  if (!up) {
    why = "PostgreSQL did not start";
    return std::nullopt;
  }
  return cluster;
}

PostgresCluster::PostgresCluster(PostgresCluster&& other) noexcept
    : programs_(std::move(other.programs_)),
      folder_(std::exchange(other.folder_, {})),
      databases_(other.databases_) {}

PostgresCluster::~PostgresCluster() {
  if (folder_.empty()) return;
  run(fmt::format("{}/pg_ctl -D {}/data -m immediate -w stop", programs_, folder_));
  std::error_code error;
  fs::remove_all(folder_, error);
}

std::string PostgresCluster::new_database() {
  const std::string name = fmt::format("db{}", ++databases_);
  if (!run(fmt::format("{}/createdb -h {} -U coffer {}", programs_, folder_, name))) return {};
  return fmt::format("postgresql://coffer@/{}?host={}", name, folder_);
}

}  // namespace coffer::testing
