// A blocking HTTP client, for programs that may wait: run it on a pool thread or in a child
// process.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace coffer::http {

// Whom to believe at the other end of https. Without either: the system's roots.
struct TlsTrust {
  // PEM certificates. When given, these are the only anchors: the system's roots no longer count.
  // May be the server's own certificate.
  std::string ca_pem;
  // Base64 of the SHA-256 of the server's SubjectPublicKeyInfo (pin.h makes it). Without `ca_pem`
  // the key alone decides: neither chain, name nor dates are looked at.
  std::string pin;
};

struct Settings {
  TlsTrust tls = {};
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(15);
  std::size_t max_body = std::size_t{32} << 20U;
  std::string user_agent = "coffer/" COFFER_VERSION;
  // "http://host:port"; empty: none, whatever the environment says.
  std::string proxy = {};
  bool proxy_from_environment = false;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method = "GET";
  std::string url;
  Headers headers = {};
  std::string body = {};
};

struct Response {
  long status = 0;
  Headers headers;  // names in lower case
  std::string body;

  // The first of that (lower-case) name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

// One connection pool and one jar of cookies. Redirects are not followed, compressed bodies not
// asked for. Not thread-safe. The process must ignore SIGPIPE (ignore_sigpipe in base/log.h).
class Client {
 public:
  [[nodiscard]] static Result<Client> make(Settings settings);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Any status is a Response. Errors name the URL and the reason: kInvalidArgument (malformed URL,
  // another scheme than http and https), kUnavailable (no name, no route, refused, broken off),
  // kDeadlineExceeded, kUnauthenticated (wrong certificate), kResourceExhausted (body too large).
  [[nodiscard]] Result<Response> send(const Request& request);
  void forget_cookies();

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer::http
