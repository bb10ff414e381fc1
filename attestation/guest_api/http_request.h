// One HTTP/1.1 request of a container, bounded.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::guest_api {

inline constexpr std::size_t kMaxRequestHeader = std::size_t{8} << 10U;
inline constexpr std::size_t kMaxRequestBody = std::size_t{64} << 10U;

struct HttpRequest {
  std::string method;
  std::string path;                          // decoded, without the query
  std::map<std::string, std::string> query;  // decoded
  std::string body;
  bool keep_alive = false;
};

// Takes bytes as they come.
class RequestParser {
 public:
  RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;
  ~RequestParser();

  // How many of `bytes` belong to this request; the rest is the next one's. kInvalidArgument when
  // it is no HTTP, kResourceExhausted over the limits above: then nothing more can be read.
  [[nodiscard]] Result<std::size_t> feed(std::string_view bytes);
  [[nodiscard]] bool done() const;
  // Once done. kInvalidArgument when its target is malformed or a parameter stands twice.
  [[nodiscard]] Result<HttpRequest> take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer::guest_api
