#include "tee/emulator/der_writer.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "base/error.h"

namespace coffer::emulator {
namespace {

constexpr std::uint8_t kUtcTime = 0x17;
constexpr std::uint8_t kGeneralizedTime = 0x18;

Bytes big_endian(std::uint64_t value) {
  Bytes out;
  for (; value != 0; value >>= 8U) out.insert(out.begin(), static_cast<std::uint8_t>(value));
  return out;
}

void append_arc(Bytes& out, std::uint64_t arc) {
  Bytes octets{static_cast<std::uint8_t>(arc & 0x7FU)};
  for (arc >>= 7U; arc != 0; arc >>= 7U) {
    octets.insert(octets.begin(), static_cast<std::uint8_t>(0x80U | (arc & 0x7FU)));
  }
  out.insert(out.end(), octets.begin(), octets.end());
}

}  // namespace

Bytes der(std::uint8_t tag, BytesView content) {
  Bytes out{tag};
  if (content.size() < 0x80) {
    out.push_back(static_cast<std::uint8_t>(content.size()));
  } else {
    const Bytes size = big_endian(content.size());
    out.push_back(static_cast<std::uint8_t>(0x80U | size.size()));
    out.insert(out.end(), size.begin(), size.end());
  }
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

Bytes der(tee::DerTag tag, BytesView content) {
  return der(static_cast<std::uint8_t>(tag), content);
}

Bytes der_join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

Bytes der_sequence(std::initializer_list<Bytes> parts) {
  return der(tee::DerTag::kSequence, der_join(parts));
}

Bytes der_integer(std::uint64_t value) {
  Bytes content = big_endian(value);
  if (content.empty() || (content[0] & 0x80U) != 0) content.insert(content.begin(), 0);
  return der(tee::DerTag::kInteger, content);
}

Bytes der_oid(std::string_view dotted) {
  std::vector<std::uint64_t> arcs;
  while (!dotted.empty()) {
    const std::string_view text = dotted.substr(0, dotted.find('.'));
    std::uint64_t arc = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), arc);
    check(error == std::errc() && at == text.data() + text.size(), "malformed object identifier");
    arcs.push_back(arc);
    dotted.remove_prefix(std::min(dotted.size(), text.size() + 1));
  }
  check(arcs.size() >= 2, "object identifier of one arc");
  Bytes content;
  append_arc(content, arcs[0] * 40 + arcs[1]);
  for (std::size_t i = 2; i < arcs.size(); ++i) append_arc(content, arcs[i]);
  return der(tee::DerTag::kOid, content);
}

Bytes der_time(tee::UnixTime time) {
  std::string text = tee::format_rfc3339(time);
  std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  const bool utc = text < "2050";
  if (utc) text.erase(0, 2);
  return der(utc ? kUtcTime : kGeneralizedTime, as_bytes(text));
}

Bytes der_bit_string(BytesView octets) {
  Bytes content{0};
  content.insert(content.end(), octets.begin(), octets.end());
  return der(tee::DerTag::kBitString, content);
}

}  // namespace coffer::emulator
