#include "cli/memory_size.h"

#include <fmt/format.h>

#include <charconv>

namespace coffer::cli {

Result<std::uint64_t> parse_memory_size(std::string_view option, std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  const std::string_view suffix(at, static_cast<std::size_t>(end - at));
  const unsigned shift = suffix == "K" ? 10 : suffix == "M" ? 20 : suffix == "G" ? 30 : 0;
  const bool known = suffix.empty() || shift != 0;
  if (error != std::errc() || !known || value == 0 || value > (UINT64_MAX >> 1U >> shift)) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("option '{}': '{}': want bytes, or a number with K, M or G", option, text));
  }
  return value << shift;
}

}  // namespace coffer::cli
