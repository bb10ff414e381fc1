// Which claims of a log its digests bear out.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/byte_reader.h"
#include "tee/eventlog/event_log.h"

namespace coffer::eventlog {
namespace {

// Tag of the attestation agent's own event log entries ("AAEL"); their digest covers the event.
constexpr std::uint32_t kTagAael = 0x4141454c;

bool equals_hash(Alg alg, BytesView data, BytesView digest) {
  const auto hashed = hash(alg, data);
  return hashed && std::ranges::equal(*hashed, digest);
}

// UEFI_VARIABLE_DATA: GUID, name length in characters, data size, name, data (10.2.6). EDK2 hashes
// boot variables without the head.
BytesView variable_data(BytesView event) {
  ByteReader reader(event, "UEFI_VARIABLE_DATA");
  if (!reader.skip(16)) return {};
  const auto name_chars = reader.u64_le();
  const auto size = reader.u64_le();
  if (!name_chars || !size || *name_chars > reader.remaining() / 2) return {};
  if (!reader.skip(static_cast<std::size_t>(*name_chars) * 2)) return {};
  if (*size != reader.remaining()) return {};
  return reader.rest();
}

// GRUB hashes the text without its prefix and the final NUL.
std::optional<BytesView> grub_text(BytesView data) {
  std::string_view text = as_text(data);
  if (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  for (const std::string_view prefix : {"grub_cmd: ", "kernel_cmdline: "}) {
    if (text.starts_with(prefix)) return as_bytes(text.substr(prefix.size()));
  }
  return std::nullopt;
}

bool is_aael(BytesView data) {
  ByteReader reader(data, "tagged event");
  const auto tag = reader.u32_le();
  return tag && *tag == kTagAael;
}

void check_separator(const Event& event, std::map<std::uint32_t, int>& seen,
                     std::vector<std::string>& out) {
  if (++seen[event.index] == 2) {
    out.push_back(fmt::format("register {} has a second separator", event.index));
  }
  const auto is = [&](std::uint8_t value) {
    return event.data.size() == 4 &&
           std::ranges::all_of(event.data, [&](auto b) { return b == value; });
  };
  if (!is(0) && !is(0xff)) {
    out.push_back(
        fmt::format("register {} has a separator with data {}", event.index,
                    to_hex(event.data.first(std::min<std::size_t>(8, event.data.size())))));
  }
}

}  // namespace

std::optional<bool> digest_matches_data(const Event& event, Alg alg) {
  const BytesView digest = event.digest(alg);
  if (!event.data_known) return std::nullopt;
  switch (event.type) {
    case kEvSeparator:
    case kEvAction:
    case kEvEfiAction:
    case kEvSCrtmVersion:
    case kEvNonhostInfo:
    case kEvEfiVariableDriverConfig:
    case kEvEfiVariableAuthority:
    case kEvEfiGptEvent:
    case kEvDstack:
      return equals_hash(alg, event.data, digest);
    case kEvEfiVariableBoot:
    case kEvEfiVariableBoot2:
      return equals_hash(alg, event.data, digest) ||
             equals_hash(alg, variable_data(event.data), digest);
    case kEvIpl: {
      const auto text = grub_text(event.data);
      if (!text) return std::nullopt;
      return equals_hash(alg, *text, digest);
    }
    case kEvEventTag:
      if (!is_aael(event.data)) return std::nullopt;
      return equals_hash(alg, event.data, digest);
    default:
      return std::nullopt;
  }
}

std::vector<std::string> anomalies(const EventLog& log, Alg alg) {
  std::vector<std::string> out;
  std::map<std::uint32_t, int> separators;
  for (std::size_t i = 0; i < log.events.size(); ++i) {
    const Event& event = log.events[i];
    if (event.type == kEvNoAction) continue;
    if (event.type == kEvSeparator) check_separator(event, separators, out);
    if (digest_matches_data(event, alg) == false) {
      out.push_back(fmt::format("event {} ({}, register {}): its digest is not that of its data", i,
                                event_type_name(event.type), event.index));
    }
  }
  return out;
}

}  // namespace coffer::eventlog
