// A PostgreSQL of our own for the time of a test: a fresh cluster in a temporary folder, reached by
// a Unix socket there. Runs as user postgres when we are root, which PostgreSQL refuses to be.
#pragma once

#include <optional>
#include <string>

namespace coffer::testing {

class PostgresCluster {
 public:
  // Nothing when PostgreSQL is not installed; `why` then says so.
  [[nodiscard]] static std::optional<PostgresCluster> start(std::string& why);
  PostgresCluster(PostgresCluster&& other) noexcept;
  PostgresCluster& operator=(PostgresCluster&&) = delete;
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;
  ~PostgresCluster();

  // A connection string for a new, empty database.
  [[nodiscard]] std::string new_database();

 private:
  PostgresCluster(std::string programs, std::string folder)
      : programs_(std::move(programs)), folder_(std::move(folder)) {}

  std::string programs_, folder_;
  int databases_ = 0;
};

}  // namespace coffer::testing
