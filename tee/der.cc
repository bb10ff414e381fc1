#include "tee/der.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace coffer::tee {
namespace {

constexpr std::size_t kMaxArcs = 32;
constexpr std::uint8_t kLongForm = 0x80;

// A certificate has some fifty arcs: to_chars, as formatting would show in a verification's time.
void append_arc(std::string& out, std::uint64_t arc) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), arc).ptr;
  if (!out.empty()) out += '.';
  out.append(digits.data(), end);
}

}  // namespace

std::unexpected<Error> DerReader::bad(std::string_view why) const {
  return fail(Code::kInvalidArgument, fmt::format("read {}: {} at offset {}", what_, why, offset_));
}

Result<std::size_t> DerReader::length(std::size_t& at) const {
  if (at >= bytes_.size()) return bad("truncated length");
  const std::uint8_t first = bytes_[at++];
  if (first < kLongForm) return first;
  const std::size_t count = first & 0x7FU;
  if (count == 0) return bad("indefinite length");
  if (count > 4 || count > bytes_.size() - at) return bad("length does not fit");
  std::uint64_t value = 0;
  if (bytes_[at] == 0) return bad("length is not minimal");
  for (std::size_t i = 0; i < count; ++i) value = (value << 8U) | bytes_[at++];
  if (value < kLongForm) return bad("length is not minimal");
  return static_cast<std::size_t>(value);
}

Result<DerValue> DerReader::next() {
  if (at_end()) return bad("ended early");
  std::size_t at = offset_;
  const std::uint8_t tag = bytes_[at++];
  if ((tag & 0x1FU) == 0x1FU) return bad("tag of several octets");
  COFFER_TRY(const std::size_t size, length(at));
  if (size > bytes_.size() - at) return bad("value longer than its parent");
  const DerValue value{.tag = tag,
                       .content = bytes_.subspan(at, size),
                       .whole = bytes_.subspan(offset_, at + size - offset_)};
  offset_ = at + size;
  return value;
}

Result<BytesView> DerReader::expect(DerTag tag) {
  const std::size_t start = offset_;
  COFFER_TRY(const DerValue value, next());
  if (!value.is(tag)) {
    offset_ = start;
    return bad(fmt::format("tag {:#04x}, want {:#04x},", value.tag, static_cast<unsigned>(tag)));
  }
  return value.content;
}

Result<DerReader> DerReader::enter(DerTag tag) {
  COFFER_TRY(const BytesView content, expect(tag));
  return DerReader(content, what_);
}

Result<std::uint64_t> DerReader::unsigned_integer(DerTag tag) {
  COFFER_TRY(BytesView content, expect(tag));
  if (content.empty()) return bad("empty integer before");
  if ((content[0] & 0x80U) != 0) return bad("negative integer before");
  if (content.size() > 1 && content[0] == 0) {
    if ((content[1] & 0x80U) == 0) return bad("integer is not minimal before");
    content = content.subspan(1);
  }
  if (content.size() > sizeof(std::uint64_t)) return bad("integer too large before");
  std::uint64_t value = 0;
  for (const std::uint8_t byte : content) value = (value << 8U) | byte;
  return value;
}

Result<bool> DerReader::boolean() {
  COFFER_TRY(const BytesView content, expect(DerTag::kBoolean));
  if (content.size() != 1 || (content[0] != 0 && content[0] != 0xFF)) {
    return bad("boolean neither 00 nor FF before");
  }
  return content[0] != 0;
}

Result<std::string> DerReader::oid() {
  COFFER_TRY(const BytesView content, expect(DerTag::kOid));
  return oid_text(content);
}

Status DerReader::expect_end() const {
  if (!at_end()) return bad("trailing bytes");
  return {};
}

Result<std::string> oid_text(BytesView content) {
  const auto bad = [](std::string_view why) {
    return fail(Code::kInvalidArgument, fmt::format("read object identifier: {}", why));
  };
  if (content.empty() || (content.back() & 0x80U) != 0) return bad("truncated");
  std::string out;
  std::uint64_t arc = 0;
  std::size_t arcs = 0;
  bool fresh = true;
  for (const std::uint8_t byte : content) {
    if (fresh && byte == 0x80U) return bad("arc is not minimal");
    if ((arc >> 57U) != 0) return bad("arc too large");
    arc = (arc << 7U) | (byte & 0x7FU);
    fresh = (byte & 0x80U) == 0;
    if (!fresh) continue;
    if (++arcs > kMaxArcs) return bad("too many arcs");
    if (arcs == 1) {
      const std::uint64_t root = arc < 80 ? arc / 40 : 2;
      append_arc(out, root);
      append_arc(out, arc - root * 40);
    } else {
      append_arc(out, arc);
    }
    arc = 0;
  }
  return out;
}

}  // namespace coffer::tee
