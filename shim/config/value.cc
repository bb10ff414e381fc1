#include "shim/config/value.h"

#include <fmt/format.h>

#include <charconv>

namespace coffer::shim {
namespace {

std::unexpected<Error> not_a(std::string_view text, std::string_view want) {
  constexpr std::size_t kShown = 64;
  return fail(Code::kInvalidArgument,
              fmt::format("got '{}', want {}", text.substr(0, kShown), want));
}

template <typename T>
Result<Value> number(std::string_view text, std::string_view want) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return not_a(text, want);
  return Value(value);
}

std::vector<std::string> words(std::string_view text) {
  const char separator = text.find(';') == std::string_view::npos ? ' ' : ';';
  std::vector<std::string> list;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    std::string_view word = text.substr(0, end);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (!word.empty()) list.emplace_back(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return list;
}

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return "true or false";
    case Kind::kInteger:
      return "an integer";
    case Kind::kFloat:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kStrings:
      return "an array of strings";
    case Kind::kTable:
      return "a table";
  }
  return "a value";
}

Kind kind_of(const Value& value) { return static_cast<Kind>(value.index()); }

Result<Value> value_from_text(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::kBool:
      if (text == "true" || text == "false") return Value(text == "true");
      return not_a(text, "true or false");
    case Kind::kInteger:
      return number<std::int64_t>(text, "an integer");
    case Kind::kFloat:
      return number<double>(text, "a number");
    case Kind::kString:
      return Value(std::string(text));
    case Kind::kStrings:
      return Value(words(text));
    case Kind::kTable:
      break;
  }
  return fail(Code::kInvalidArgument, "a table cannot be given as text");
}

bool is_inert(const Value& value) {
  switch (kind_of(value)) {
    case Kind::kBool:
      return !std::get<bool>(value);
    case Kind::kInteger:
      return std::get<std::int64_t>(value) == 0;
    case Kind::kFloat:
      return !(std::get<double>(value) < 0) && !(std::get<double>(value) > 0);
    case Kind::kString:
      return std::get<std::string>(value).empty();
    case Kind::kStrings:
      return std::get<std::vector<std::string>>(value).empty();
    case Kind::kTable:
      return false;
  }
  return false;
}

}  // namespace coffer::shim
