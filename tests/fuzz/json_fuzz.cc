// JSON from anywhere: read and written as nlohmann does it, but for what is said here.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  using Json = nlohmann::json;
  constexpr JsonLimits kLimits{.refuse_duplicate_keys = false};
  const std::string_view text = as_text(BytesView(data, size));
  const auto mine = parse_json(text, "input", kLimits);
  (void)parse_json(text, "input");
  const auto bytes =
      parse_json(text, "input", {.refuse_duplicate_keys = false, .lists_as_bytes = true});
  check(bytes.has_value() == mine.has_value(), "lists of bytes are lists");
  if (mine) {
    const std::string written = dump_json(*mine);
    check(written == mine->dump(), "written as nlohmann writes it");
    check(dump_json(parse_json(written, "written text", kLimits).value()) == written,
          "what is written reads back");
    check(dump_json(*bytes) == written, "lists of bytes are written as lists");
  }
  // nlohmann takes a zero byte for the end, and has no limit of depth.
  if (text.find('\0') != std::string_view::npos) return 0;
  if (!mine && mine.error().message().ends_with("levels")) return 0;
  const auto theirs = Json::parse(text, nullptr, false);
  check(mine.has_value() == !theirs.is_discarded(), "taken or refused as nlohmann does");
  if (mine) check(mine->dump() == theirs.dump(), "read as nlohmann reads it");
  return 0;
}
