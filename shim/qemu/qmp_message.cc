#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "shim/qemu/qmp.h"

namespace coffer::shim {
namespace {

using nlohmann::json;

constexpr JsonLimits kLimits{.max_bytes = kMaxQmpLine, .max_depth = 64};

std::string dumped(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_of(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

Result<std::optional<std::uint64_t>> id_of(const json& object) {
  const auto it = object.find("id");
  if (it == object.end()) return std::nullopt;
  if (it->is_number_unsigned()) return it->get<std::uint64_t>();
  return fail(Code::kInvalidArgument, "read QMP message: its 'id' is none of ours");
}

}  // namespace

Result<QmpMessage> parse_qmp_message(std::string_view line) {
  COFFER_TRY(const json object, parse_json(line, "QMP message", kLimits));
  const auto not_one = fail(Code::kInvalidArgument,
                            "read QMP message: want one with 'QMP', 'return', 'error' or 'event'");
  if (!object.is_object()) return not_one;
  QmpMessage message;
  COFFER_TRY(message.id, id_of(object));
  if (const auto it = object.find("event"); it != object.end()) {
    message.type = QmpMessage::Type::kEvent;
    message.name = text_of(object, "event");
    if (message.name.empty()) return not_one;
    if (const auto data = object.find("data"); data != object.end()) message.data = dumped(*data);
    return message;
  }
  if (const auto it = object.find("return"); it != object.end()) {
    message.type = QmpMessage::Type::kReturn;
    message.data = dumped(*it);
    return message;
  }
  if (const auto it = object.find("error"); it != object.end() && it->is_object()) {
    message.type = QmpMessage::Type::kError;
    message.name = text_of(*it, "class");
    message.text = text_of(*it, "desc");
    return message;
  }
  if (object.contains("QMP")) return message;
  return not_one;
}

Status QmpLines::append(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kMaxQmpLine) {
    return fail(Code::kResourceExhausted,
                fmt::format("read QMP message: longer than {} bytes", kMaxQmpLine));
  }
  buffer_ += bytes;
  return {};
}

std::optional<std::string> QmpLines::next() {
  const std::size_t end = buffer_.find('\n', scanned_);
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  if (line.ends_with('\r')) line.pop_back();
  buffer_.erase(0, end + 1);
  scanned_ = 0;
  return line;
}

std::string qmp_command(std::string_view command, std::string_view arguments, std::uint64_t id) {
  std::string line = fmt::format(R"({{"execute":"{}")", command);
  if (!arguments.empty()) line += fmt::format(R"(,"arguments":{})", arguments);
  return line + fmt::format(",\"id\":{}}}\n", id);
}

}  // namespace coffer::shim
