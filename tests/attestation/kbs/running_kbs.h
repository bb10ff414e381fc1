// A coffer-kbs that runs: the real program, initialised in a temporary folder, on a port of its
// own.
#pragma once

#include <sys/types.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/http/client.h"

namespace coffer::testing {

class RunningKbs {
 public:
  // `extra` is added to the configuration: whole sections. Aborts the test program on failure.
  [[nodiscard]] static std::unique_ptr<RunningKbs> start(const std::string& extra = {},
                                                         const std::string& store = {});
  // Another server of the same service: `first`'s configuration, keys and store, a port of its own.
  [[nodiscard]] static std::unique_ptr<RunningKbs> replica_of(const RunningKbs& first);
  ~RunningKbs();
  RunningKbs(const RunningKbs&) = delete;
  RunningKbs& operator=(const RunningKbs&) = delete;

  [[nodiscard]] const std::string& url() const { return url_; }
  // Of the attestation service; empty unless `extra` has asked for it.
  [[nodiscard]] const std::string& grpc() const { return grpc_; }
  // A bearer token of the administrator, of now.
  [[nodiscard]] std::string admin_token() const;
  [[nodiscard]] const std::string& folder() const { return folder_; }
  [[nodiscard]] std::string certificate() const;
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::uint16_t port() const;
  void kill9();
  // Again, with the same folder; the port may change.
  void restart();

  struct Reply {
    long status = 0;
    std::string body;
    [[nodiscard]] nlohmann::json json() const {
      return nlohmann::json::parse(body, nullptr, false);
    }
  };
  // With a token of the administrator.
  [[nodiscard]] Reply admin(const std::string& method, const std::string& path,
                            const std::string& body = {});
  // Without any.
  [[nodiscard]] Reply anyone(const std::string& method, const std::string& path,
                             const std::string& body = {}, const http::Headers& headers = {});
  // A resource policy by its text.
  [[nodiscard]] Reply set_resource_policy(const std::string& rego);

 private:
  RunningKbs() = default;
  void launch();

  std::string folder_, url_, grpc_;
  pid_t pid_ = -1;
};

}  // namespace coffer::testing
