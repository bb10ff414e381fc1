// The two protobuf messages that ttrpc itself has, read and written without copying what they
// carry. Field numbers: rpc/protos/ttrpc.proto. Unknown fields are skipped, as proto3 has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "rpc/ttrpc/call.h"

namespace coffer::rpc {

struct Request {
  std::string service;
  std::string method;
  Payload payload;
  bool has_payload = false;        // the field stood there, if only empty
  std::int64_t timeout_nanos = 0;  // 0: none
  Metadata metadata;
};

struct Response {
  // The status when its code is not OK. Details are dropped.
  std::optional<Error> error;
  Payload payload;
};

// Limits on what one envelope may hold, beside its size.
inline constexpr std::size_t kMaxMetadata = 256;
// What is sent of an error's text.
inline constexpr std::size_t kMaxErrorText = std::size_t{256} << 10U;

// Each takes over the frame's payload. kInvalidArgument when it cannot be parsed.
[[nodiscard]] Result<Request> parse_request(std::string frame);
[[nodiscard]] Result<Response> parse_response(std::string frame);

// What stands in the frame before the message itself, which follows as it is: a frame is
// header + prefix + message, and can be written without joining them. `message` absent: no field.
struct RequestHead {
  std::string_view service = {};
  std::string_view method = {};
  std::int64_t timeout_nanos = 0;
  const Metadata* metadata = nullptr;
};
[[nodiscard]] std::string request_prefix(const RequestHead& head,
                                         std::optional<std::size_t> message_size);
[[nodiscard]] std::string response_prefix(std::size_t message_size);
// A whole Response with a status.
[[nodiscard]] std::string error_response(Code code, std::string_view message);

}  // namespace coffer::rpc
