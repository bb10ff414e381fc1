#include "attestation/evidence/runtime_log.h"

#include <fmt/format.h>

#include "base/byte_reader.h"
#include "tee/eventlog/event_log.h"

namespace coffer::evidence {
namespace {

constexpr std::uint32_t kTag = 0x4141454C;
constexpr std::uint32_t kExtendedTag = 0x434F4646;  // its digest is not one of the event's data
constexpr std::size_t kMaxLog = std::size_t{1} << 20U;
constexpr std::size_t kEntryOverhead = 128;
constexpr std::size_t kSpecIdHead = 28;  // index, type, SHA-1 digest
constexpr std::uint16_t kSha256 = 0x000B, kSha384 = 0x000C, kSha512 = 0x000D, kSm3 = 0x0012;

void put16(Bytes& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value));
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
}

void put32(Bytes& out, std::size_t value) {
  put16(out, static_cast<std::uint16_t>(value));
  put16(out, static_cast<std::uint16_t>(value >> 16U));
}

void put(Bytes& out, BytesView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

std::uint16_t algorithm_id(tee::HashAlgorithm hash) {
  if (hash == tee::HashAlgorithm::kSha384) return kSha384;
  return hash == tee::HashAlgorithm::kSha512 ? kSha512 : kSha256;
}

Bytes tagged(std::uint32_t tag, std::string_view text) {
  Bytes out;
  put32(out, tag);
  put32(out, text.size());
  put(out, as_bytes(text));
  return out;
}

Bytes event_data(const RuntimeEvent& event) {
  return tagged(kTag, fmt::format("{} {} {}", event.domain, event.operation, event.content));
}

// The Spec ID event of a log that the firmware did not begin, with the two banks that CoCo's agent
// declares; with ours instead where that is another.
Bytes spec_id(tee::HashAlgorithm hash) {
  Bytes data = to_bytes(std::string_view("Spec ID Event03\0", 16));
  put32(data, 0);           // platformClass
  put32(data, 0x02000200);  // version 2.0, errata 0, UINT64
  put32(data, 2);
  put16(data, algorithm_id(hash));
  put16(data, static_cast<std::uint16_t>(tee::digest_size(hash)));
  put16(data, kSm3);
  put16(data, 32);
  data.push_back(0);  // vendorInfoSize
  Bytes out;
  put32(out, 0);
  put32(out, eventlog::kEvNoAction);
  out.resize(kSpecIdHead, 0);
  put32(out, data.size());
  put(out, data);
  return out;
}

// The part of the log before its end marker.
Result<BytesView> used_part(BytesView log) {
  COFFER_TRY(const auto parsed, eventlog::parse_event_log(log));
  if (!parsed.events.empty()) {
    const BytesView last = parsed.events.back().data;
    return log.first(static_cast<std::size_t>(last.data() + last.size() - log.data()));
  }
  ByteReader reader(log, "event log");
  COFFER_TRY_VOID(reader.skip(kSpecIdHead));
  COFFER_TRY(const auto size, reader.u32_le());
  COFFER_TRY_VOID(reader.skip(size));
  return log.first(reader.offset());
}

}  // namespace

Status check_event(const RuntimeEvent& event) {
  const auto has = [](const std::string& text, std::string_view what) {
    return text.find_first_of(what) != std::string::npos;
  };
  const auto refuse = [](std::string_view part, std::string_view why) {
    return fail(Code::kInvalidArgument, fmt::format("measure event: {} {}", part, why));
  };
  if (event.domain.empty() || has(event.domain, " \r\n")) {
    return refuse("domain", "is empty or has a blank");
  }
  if (event.operation.empty() || has(event.operation, " \r\n")) {
    return refuse("operation", "is empty or has a blank");
  }
  if (has(event.content, "\r\n")) return refuse("content", "has a line break");
  return {};
}

Bytes RuntimeLog::digest(const RuntimeEvent& event) const {
  return tee::hash(hash_, event_data(event));
}

Status RuntimeLog::check_room(const RuntimeEvent& event) const {
  const auto size = entries_.size() + event.domain.size() + event.operation.size() +
                    event.content.size() + kEntryOverhead;
  if (size <= kMaxLog) return {};
  return fail(Code::kResourceExhausted,
              fmt::format("measure event: the runtime log has {} bytes, the limit is {}",
                          entries_.size(), kMaxLog));
}

void RuntimeLog::append(std::uint32_t index, const RuntimeEvent& event) {
  const Bytes data = event_data(event);
  append_entry(index, tee::hash(hash_, data), data);
}

void RuntimeLog::append_extended(std::uint32_t index, BytesView digest, std::string_view what) {
  append_entry(index, digest, tagged(kExtendedTag, what));
}

void RuntimeLog::append_entry(std::uint32_t index, BytesView digest, BytesView data) {
  put32(entries_, index);
  put32(entries_, eventlog::kEvEventTag);
  put32(entries_, 1);
  put16(entries_, algorithm_id(hash_));
  put(entries_, digest);
  put32(entries_, data.size());
  put(entries_, data);
}

Result<Bytes> RuntimeLog::continue_log(BytesView firmware_log) const {
  if (entries_.empty()) return Bytes(firmware_log.begin(), firmware_log.end());
  Bytes out;
  if (firmware_log.empty()) {
    out = spec_id(hash_);
  } else {
    COFFER_TRY(const BytesView used, used_part(firmware_log));
    put(out, used);
  }
  put(out, entries_);
  out.insert(out.end(), 8, 0xFF);
  return out;
}

}  // namespace coffer::evidence
