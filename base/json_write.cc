#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/json_plain.h"
#include "base/json_writer.h"
#include "base/utf8.h"

namespace coffer {
namespace {

using Json = nlohmann::json;

std::string slow_dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_escape(std::string& out, char c) {
  constexpr std::string_view kMeanings = "\"\\\b\f\n\r\t";
  constexpr std::string_view kNames = "\"\\bfnrt";
  out += '\\';
  if (const std::size_t which = kMeanings.find(c); which != std::string_view::npos) {
    out += kNames[which];
  } else {
    fmt::format_to(std::back_inserter(out), "u{:04x}", static_cast<unsigned>(c));
  }
}

void append_text(std::string& out, std::string_view text) {
  const std::size_t start = out.size();
  out += '"';
  std::size_t at = 0;
  while (true) {
    const std::size_t end = json_detail::end_of_plain(text, at);
    out.append(text, at, end - at);
    at = end;
    if (at == text.size()) break;
    if (static_cast<unsigned char>(text[at]) < 0x80U) {
      append_escape(out, text[at++]);
      continue;
    }
    const std::size_t length = utf8_sequence_length(text.substr(at));
    if (length == 0) {
      // What stands for it is nlohmann's to say.
      out.resize(start);
      out += slow_dump(text);
      return;
    }
    out.append(text, at, length);
    at += length;
  }
  out += '"';
}

void append_json(std::string& out, const Json& value);

void append_members(std::string& out, const Json::object_t& members) {
  char separator = '{';
  for (const auto& [key, member] : members) {
    out += separator;
    separator = ',';
    append_text(out, key);
    out += ':';
    append_json(out, member);
  }
  if (members.empty()) out += '{';
  out += '}';
}

void append_bytes(std::string& out, const Json::binary_t& bytes) {
  char separator = '[';
  for (const std::uint8_t byte : bytes) {
    out += separator;
    separator = ',';
    out += fmt::format_int(byte).c_str();
  }
  out += bytes.empty() ? "[]" : "]";
}

void append_json(std::string& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return append_members(out, value.get_ref<const Json::object_t&>());
    case Json::value_t::array: {
      char separator = '[';
      for (const auto& item : value.get_ref<const Json::array_t&>()) {
        out += separator;
        separator = ',';
        append_json(out, item);
      }
      out += value.empty() ? "[]" : "]";
      return;
    }
    case Json::value_t::string:
      return append_text(out, value.get_ref<const std::string&>());
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return;
    case Json::value_t::null:
      out += "null";
      return;
    case Json::value_t::number_unsigned:
      out += fmt::format_int(value.get<std::uint64_t>()).c_str();
      return;
    case Json::value_t::number_integer:
      out += fmt::format_int(value.get<std::int64_t>()).c_str();
      return;
    case Json::value_t::binary:
      return append_bytes(out, value.get_binary());
    default:
      out += slow_dump(value);
  }
}

}  // namespace

std::string dump_json(const nlohmann::json& value) {
  std::string out;
  append_json(out, value);
  return out;
}

void JsonWriter::separate() {
  if (comma_) out_ += ',';
  comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_text(out_, name);
  out_ += ':';
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  append_text(out_, value);
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) { return json(value ? "true" : "false"); }

JsonWriter& JsonWriter::integer(std::int64_t value) { return json(fmt::format_int(value).c_str()); }

JsonWriter& JsonWriter::json(std::string_view written) {
  separate();
  out_ += written;
  return *this;
}

JsonWriter& JsonWriter::tree(const nlohmann::json& value) {
  separate();
  append_json(out_, value);
  return *this;
}

std::string JsonWriter::take() {
  comma_ = false;
  return std::exchange(out_, {});
}

}  // namespace coffer
