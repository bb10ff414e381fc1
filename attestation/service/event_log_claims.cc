#include "attestation/service/event_log_claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/byte_reader.h"
#include "base/utf8.h"
#include "tee/eventlog/json_log.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxEvents = 512;
constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxNodes = 64;
constexpr std::size_t kGuid = 16;
constexpr auto kAlg = eventlog::Alg::kSha384;
constexpr std::uint32_t kTagAael = 0x4141454c;
// UEFI 2.10, section 10.3: media device path, file path; end of the entire path.
constexpr std::uint8_t kMedia = 4, kFilePath = 4, kEnd = 0x7f, kEndEntire = 0xff;

// Without trailing NULs, and as far as it is UTF-8; nothing when it does not begin so.
Json text_of(BytesView bytes) {
  std::string_view text = as_text(bytes);
  while (text.ends_with('\0')) text.remove_suffix(1);
  if (text.size() > kMaxText) text = text.substr(0, kMaxText);
  std::size_t good = 0;
  while (good < text.size()) {
    const std::size_t length = utf8_sequence_length(text.substr(good));
    if (length == 0) break;
    good += length;
  }
  return good == 0 ? Json() : Json(text.substr(0, good));
}

// UCS-2, little endian, to a NUL or the end. What is no character becomes '?'.
std::string from_ucs2(BytesView bytes) {
  std::string out;
  for (std::size_t i = 0; i + 1 < bytes.size() && out.size() < kMaxText; i += 2) {
    const unsigned unit = bytes[i] | static_cast<unsigned>(bytes[i + 1]) << 8U;
    if (unit == 0) break;
    if (unit < 0x80) {
      out += static_cast<char>(unit);
    } else if (unit < 0x800) {
      out += static_cast<char>(0xc0U | unit >> 6U);
      out += static_cast<char>(0x80U | (unit & 0x3fU));
    } else if (unit >= 0xd800 && unit < 0xe000) {
      out += '?';
    } else {
      out += static_cast<char>(0xe0U | unit >> 12U);
      out += static_cast<char>(0x80U | (unit >> 6U & 0x3fU));
      out += static_cast<char>(0x80U | (unit & 0x3fU));
    }
  }
  return out;
}

// "File(kernel)"; of another node its type and content.
std::string node_text(std::uint8_t type, std::uint8_t subtype, BytesView data) {
  if (type == kMedia && subtype == kFilePath) return fmt::format("File({})", from_ucs2(data));
  return fmt::format("Path({},{},{})", type, subtype,
                     to_hex(data.first(std::min<std::size_t>(data.size(), 64))));
}

// Of EFI_DEVICE_PATH_PROTOCOL: type, subtype, length with these four bytes.
Result<Json> device_paths(BytesView bytes) {
  ByteReader reader(bytes, "device path");
  Json out = Json::array();
  while (!reader.at_end() && out.size() < kMaxNodes) {
    COFFER_TRY(const std::uint8_t type, reader.u8());
    COFFER_TRY(const std::uint8_t subtype, reader.u8());
    COFFER_TRY(const std::uint16_t size, reader.u16_le());
    if (size < 4) return fail(Code::kInvalidArgument, "read device path: a node's length");
    COFFER_TRY(const BytesView data, reader.take(size - 4U));
    if (type == kEnd && subtype == kEndEntire) break;
    out.push_back(node_text(type, subtype, data));
  }
  return out;
}

// UEFI_IMAGE_LOAD_EVENT (TCG PC Client Platform Firmware Profile rev. 1.06, 10.2.3).
Result<Json> image_load(BytesView data) {
  ByteReader reader(data, "image load event");
  COFFER_TRY_VOID(reader.skip(3 * sizeof(std::uint64_t)));
  COFFER_TRY(const std::uint64_t size, reader.u64_le());
  if (size > reader.remaining()) {
    return fail(Code::kInvalidArgument, "read image load event: its device path's length");
  }
  COFFER_TRY(const BytesView path, reader.take(static_cast<std::size_t>(size)));
  COFFER_TRY(Json paths, device_paths(path));
  return Json{{"device_paths", std::move(paths)}};
}

// TCG_PCClientTaggedEvent (10.4.2.1).
Result<Json> tagged(BytesView data) {
  ByteReader reader(data, "tagged event");
  COFFER_TRY(const std::uint32_t tag, reader.u32_le());
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  COFFER_TRY(const BytesView content, reader.take(size));
  Json out = {{"string", text_of(content)}};
  if (tag != kTagAael || !out["string"].is_string()) return out;
  const auto text = out["string"].get<std::string>();
  const std::size_t first = text.find(' ');
  const std::size_t second = first == std::string::npos ? first : text.find(' ', first + 1);
  if (second == std::string::npos) return out;
  out["data"] = {{"domain", text.substr(0, first)},
                 {"operation", text.substr(first + 1, second - first - 1)},
                 {"content", text.substr(second + 1)}};
  return out;
}

// UEFI_VARIABLE_DATA (10.2.6).
Result<Json> variable(BytesView data) {
  ByteReader reader(data, "UEFI variable");
  COFFER_TRY_VOID(reader.skip(kGuid));
  COFFER_TRY(const std::uint64_t chars, reader.u64_le());
  COFFER_TRY(const std::uint64_t size, reader.u64_le());
  if (chars > reader.remaining() / 2) {
    return fail(Code::kInvalidArgument, "read UEFI variable: its name's length");
  }
  COFFER_TRY(const BytesView name, reader.take(static_cast<std::size_t>(chars) * 2));
  return Json{{"unicode_name", from_ucs2(name)},
              {"unicode_name_length", chars},
              {"variable_data_length", size}};
}

Json claim(const eventlog::Event& event) {
  return {{"index", event.index},
          {"type_name", eventlog::event_type_name(event.type)},
          {"digest_matches_event", eventlog::digest_matches_data(event, kAlg).value_or(false)},
          {"digests", Json::array({{{"alg", "SHA-384"}, {"digest", to_hex(event.digest(kAlg))}}})},
          {"details", event_details(event)}};
}

}  // namespace

Json event_details(const eventlog::Event& event) {
  Result<Json> details = Json::object();
  switch (event.type) {
    case eventlog::kEvEfiBootServicesApplication:
      details = image_load(event.data);
      break;
    case eventlog::kEvEventTag:
      details = tagged(event.data);
      break;
    case eventlog::kEvEfiVariableDriverConfig:
    case eventlog::kEvEfiVariableBoot:
    case eventlog::kEvEfiVariableBoot2:
    case eventlog::kEvEfiVariableAuthority:
      details = variable(event.data);
      break;
    case eventlog::kEvAction:
    case eventlog::kEvEfiAction:
    case eventlog::kEvIpl:
    case eventlog::kEvPostCode:
      details = Json{{"string", text_of(event.data)}};
      break;
    default:
      break;
  }
  // What cannot be read has no details: its digest counts all the same.
  return details ? *std::move(details) : Json::object();
}

Result<Json> event_log_claims(BytesView bytes) {
  COFFER_TRY(const auto read, eventlog::read_event_log(bytes));
  Json out = Json::array();
  for (const auto& event : read.log.events) {
    if (out.size() == kMaxEvents) break;
    out.push_back(claim(event));
  }
  return out;
}

}  // namespace coffer::appraisal
