// Values as JSON text. Recursion goes as deep as a value, which is bounded.
#include <fmt/format.h>

#include <algorithm>

#include "policy/value/json.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

class JsonWriter {
 public:
  JsonWriter(bool html, bool pretty, std::string_view indent, std::string_view prefix)
      : html_(html), pretty_(pretty), indent_(indent), prefix_(prefix) {}

  void write(const Value& value, std::size_t level = 0) {
    switch (value.type()) {
      case Type::kUndefined:
      case Type::kNull:
        out_ += "null";
        return;
      case Type::kBoolean:
        out_ += value.is_true() ? "true" : "false";
        return;
      case Type::kNumber:
        out_ += value.number_text();
        return;
      case Type::kString:
        append_json_string(out_, value.as_string(), html_);
        return;
      case Type::kArray:
      case Type::kSet:
        return list(value, level);
      case Type::kObject:
        return object(value, level);
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void new_line(std::size_t level) {
    if (!pretty_) return;
    out_ += '\n';
    out_ += prefix_;
    for (std::size_t i = 0; i < level; ++i) out_ += indent_;
  }

  void list(const Value& value, std::size_t level) {
    out_ += '[';
    bool first = true;
    for (const Value& item : value.items()) {
      if (!first) out_ += ',';
      first = false;
      new_line(level + 1);
      write(item, level + 1);
    }
    if (!first) new_line(level);
    out_ += ']';
  }

  void member(const std::string& key, const Value& value, bool first, std::size_t level) {
    if (!first) out_ += ',';
    new_line(level + 1);
    append_json_string(out_, key, html_);
    out_ += pretty_ ? ": " : ":";
    write(value, level + 1);
  }

  void object(const Value& value, std::size_t level) {
    out_ += '{';
    bool plain = true;
    for (const Entry& entry : value.entries()) plain = plain && entry.key.is_string();
    bool first = true;
    if (plain) {
      for (const Entry& entry : value.entries()) {
        member(std::string(entry.key.as_string()), entry.value, first, level);
        first = false;
      }
    } else {
      // Other keys appear as their own JSON text and sort among the rest by it.
      std::vector<std::pair<std::string, const Value*>> members;
      for (const Entry& entry : value.entries())
        members.emplace_back(
            entry.key.is_string() ? std::string(entry.key.as_string()) : to_json(entry.key),
            &entry.value);
      std::stable_sort(members.begin(), members.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      for (const auto& [key, inner] : members) {
        member(key, *inner, first, level);
        first = false;
      }
    }
    if (!first) new_line(level);
    out_ += '}';
  }

  bool html_;
  bool pretty_;
  std::string_view indent_;
  std::string_view prefix_;
  std::string out_;
};

}  // namespace

void append_json_string(std::string& out, std::string_view text, bool html) {
  out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    if (c >= 0x80) {
      const Rune rune = decode_rune(text);
      if (rune.code == 0x2028 || rune.code == 0x2029) {
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(rune.code));
      } else {
        append_rune(out, rune.code);
      }
      text.remove_prefix(rune.width);
      continue;
    }
    text.remove_prefix(1);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (c < 0x20 || (html && (c == '<' || c == '>' || c == '&'))) {
          out += fmt::format("\\u{:04x}", c);
        } else {
          out += static_cast<char>(c);
        }
    }
  }
  out += '"';
}

std::string to_json(const Value& value, bool html) {
  JsonWriter writer(html, false, "", "");
  writer.write(value);
  return writer.take();
}

std::string to_json_pretty(const Value& value, std::string_view indent, std::string_view prefix,
                           bool html) {
  JsonWriter writer(html, true, indent, prefix);
  writer.write(value);
  return writer.take();
}

}  // namespace coffer::policy
