#include "attestation/initdata/disk.h"

#include <fmt/format.h>

#include <algorithm>

namespace coffer::initdata {
namespace {

constexpr unsigned kByteBits = 8;

std::size_t padded(std::size_t size) {
  return (size + kDiskSector - 1) / kDiskSector * kDiskSector;
}

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read initdata disk: {}", why));
}

}  // namespace

Bytes make_disk(BytesView packed) {
  Bytes out = to_bytes(kDiskMagic);
  out.reserve(padded(kDiskHeader + packed.size()));
  for (unsigned i = 0; i < sizeof(std::uint64_t); ++i) {
    out.push_back(static_cast<std::uint8_t>(std::uint64_t{packed.size()} >> (i * kByteBits)));
  }
  out.insert(out.end(), packed.begin(), packed.end());
  out.resize(padded(out.size()));
  return out;
}

Result<std::size_t> read_disk_header(BytesView header) {
  if (header.size() < kDiskHeader || as_text(header.first(kDiskMagic.size())) != kDiskMagic) {
    return fail(Code::kNotFound, "read initdata disk: no magic 'initdata'");
  }
  std::uint64_t size = 0;
  for (unsigned i = 0; i < sizeof(size); ++i) {
    size |= std::uint64_t{header[kDiskMagic.size() + i]} << (i * kByteBits);
  }
  if (size == 0 || size > kMaxPacked) {
    return bad(fmt::format("length {}, want 1 to {}", size, kMaxPacked));
  }
  return static_cast<std::size_t>(size);
}

Result<BytesView> read_disk(BytesView image) {
  COFFER_TRY(const std::size_t size, read_disk_header(image));
  if (image.size() != padded(kDiskHeader + size)) {
    return bad(fmt::format("length {} in an image of {} bytes", size, image.size()));
  }
  const BytesView rest = image.subspan(kDiskHeader + size);
  if (std::ranges::any_of(rest, [](std::uint8_t byte) { return byte != 0; })) {
    return bad("its padding is not zero");
  }
  return image.subspan(kDiskHeader, size);
}

}  // namespace coffer::initdata
