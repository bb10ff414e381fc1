#include "rpc/ttrpc/envelope.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace coffer::rpc {
namespace {

// Protobuf encoding: https://protobuf.dev/programming-guides/encoding/
enum WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint32_t number = 0;
  std::uint8_t type = 0;
  std::uint64_t varint = 0;     // when kVarint
  std::string_view bytes = {};  // when kBytes: within what is read
};

// Reads the fields of one message. Groups (types 3 and 4), which proto3 does not have, are refused.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  // Empty at the end, and after an error.
  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t tag = varint();
    Field field{.number = static_cast<std::uint32_t>(tag >> 3U),
                .type = static_cast<std::uint8_t>(tag & 7U)};
    if ((tag >> 3U) == 0 || (tag >> 3U) > kMaxFieldNumber) failed_ = true;
    switch (field.type) {
      case kVarint:
        field.varint = varint();
        break;
      case kBytes:
        field.bytes = take(varint());
        break;
      case kFixed64:
        take(8);
        break;
      case kFixed32:
        take(4);
        break;
      default:
        failed_ = true;
    }
    if (failed_) return std::nullopt;
    return field;
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  static constexpr std::uint64_t kMaxFieldNumber = (1U << 29U) - 1;

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) return value;
    }
    failed_ = true;
    return 0;
  }

  std::string_view take(std::uint64_t count) {
    if (failed_ || count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const auto bytes = rest_.substr(0, static_cast<std::size_t>(count));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }

  std::string_view rest_;
  bool failed_ = false;
};

void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>((value & 0x7FU) | 0x80U);
    value >>= 7U;
  }
  out += static_cast<char>(value);
}

void put_tag(std::string& out, std::uint32_t number, WireType type) {
  put_varint(out, (std::uint64_t{number} << 3U) | type);
}

void put_bytes(std::string& out, std::uint32_t number, std::string_view bytes) {
  put_tag(out, number, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// proto3 leaves a field out that has its default.
void put_text(std::string& out, std::uint32_t number, std::string_view text) {
  if (!text.empty()) put_bytes(out, number, text);
}

std::unexpected<Error> invalid(std::string_view what, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("parse ttrpc {}: {}", what, why));
}

bool is(const Field& field, std::uint32_t number, WireType type) {
  return field.number == number && field.type == type;
}

Result<std::pair<std::string, std::string>> parse_key_value(std::string_view bytes) {
  std::pair<std::string, std::string> out;
  FieldReader reader(bytes);
  while (const auto field = reader.next()) {
    if (is(*field, 1, kBytes)) out.first = field->bytes;
    if (is(*field, 2, kBytes)) out.second = field->bytes;
  }
  if (reader.failed() || !is_utf8(out.first) || !is_utf8(out.second)) {
    return invalid("request", "bad metadata");
  }
  return out;
}

// google.rpc.Status.
Result<std::optional<Error>> parse_status(std::string_view bytes) {
  std::int32_t code = 0;
  std::string message;
  FieldReader reader(bytes);
  while (const auto field = reader.next()) {
    if (is(*field, 1, kVarint)) code = static_cast<std::int32_t>(field->varint);
    if (is(*field, 2, kBytes)) message = field->bytes;
  }
  if (reader.failed() || !is_utf8(message)) return invalid("response", "bad status");
  if (code == 0) return std::nullopt;
  const bool known = code > 0 && code <= static_cast<int>(Code::kUnauthenticated);
  return Error(known ? static_cast<Code>(code) : Code::kUnknown, std::move(message));
}

// `part` is a view into `frame`, which is taken over.
Payload payload_of(std::string&& frame, std::string_view part) {
  if (part.empty()) return {};
  // Before the move: a short string's bytes move with it.
  const auto offset = static_cast<std::size_t>(part.data() - frame.data());
  return {std::move(frame), offset, part.size()};
}

}  // namespace

Result<Request> parse_request(std::string frame) {
  Request request;
  std::string_view payload;
  FieldReader reader(frame);
  while (const auto field = reader.next()) {
    if (is(*field, 1, kBytes)) request.service = field->bytes;
    if (is(*field, 2, kBytes)) request.method = field->bytes;
    if (is(*field, 3, kBytes)) {
      payload = field->bytes;
      request.has_payload = true;
    }
    if (is(*field, 4, kVarint)) request.timeout_nanos = static_cast<std::int64_t>(field->varint);
    if (!is(*field, 5, kBytes)) continue;
    if (request.metadata.size() >= kMaxMetadata) return invalid("request", "too much metadata");
    COFFER_TRY(auto pair, parse_key_value(field->bytes));
    request.metadata.push_back(std::move(pair));
  }
  if (reader.failed()) return invalid("request", "not a valid message");
  if (!is_utf8(request.service) || !is_utf8(request.method)) {
    return invalid("request", "a name is not UTF-8");
  }
  request.payload = payload_of(std::move(frame), payload);
  return request;
}

Result<Response> parse_response(std::string frame) {
  Response response;
  std::string_view payload;
  FieldReader reader(frame);
  while (const auto field = reader.next()) {
    if (is(*field, 1, kBytes)) {
      COFFER_TRY(response.error, parse_status(field->bytes));
    }
    if (is(*field, 2, kBytes)) payload = field->bytes;
  }
  if (reader.failed()) return invalid("response", "not a valid message");
  response.payload = payload_of(std::move(frame), payload);
  return response;
}

std::string request_prefix(const RequestHead& head, std::optional<std::size_t> message_size) {
  std::string out;
  put_text(out, 1, head.service);
  put_text(out, 2, head.method);
  if (head.timeout_nanos != 0) {
    put_tag(out, 4, kVarint);
    put_varint(out, static_cast<std::uint64_t>(head.timeout_nanos));
  }
  if (head.metadata != nullptr) {
    for (const auto& [key, value] : *head.metadata) {
      std::string pair;
      put_text(pair, 1, key);
      put_text(pair, 2, value);
      put_bytes(out, 5, pair);
    }
  }
  // Last, so that the message itself follows: the order of fields is free.
  if (message_size) {
    put_tag(out, 3, kBytes);
    put_varint(out, *message_size);
  }
  return out;
}

std::string response_prefix(std::size_t message_size) {
  std::string out;
  // No status means OK; some clients want to see it said. It is two bytes: an empty message.
  put_bytes(out, 1, "");
  put_tag(out, 2, kBytes);
  put_varint(out, message_size);
  return out;
}

std::string error_response(Code code, std::string_view message) {
  std::string status;
  put_tag(status, 1, kVarint);
  put_varint(status, static_cast<std::uint64_t>(code));
  put_text(status, 2, message);
  std::string out;
  put_bytes(out, 1, status);
  return out;
}

}  // namespace coffer::rpc
