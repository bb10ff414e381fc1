#include "guest-image/compress.h"

#include <fmt/format.h>
#include <lz4hc.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace coffer::guest_image {
namespace {

Result<std::string> compress_zstd(std::string_view bytes, int level) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                     ZSTD_freeCCtx);
  check(context != nullptr, "out of memory");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size =
      ZSTD_compress2(context.get(), out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0) {
    return fail(Code::kInternal,
                fmt::format("compress the initramfs: {}", ZSTD_getErrorName(size)));
  }
  out.resize(size);
  return out;
}

void append_u32_le(std::string& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8)
    out += static_cast<char>((value >> shift) & 0xffU);
}

// LZ4 Frame Format Description 1.6.2, "Legacy frame": a magic number, then blocks of 8 MiB of
// input, each behind its packed size.
Result<std::string> compress_lz4(std::string_view bytes) {
  constexpr std::uint32_t kMagic = 0x184C2102;
  constexpr std::size_t kBlock = std::size_t{8} << 20U;
  std::string out;
  append_u32_le(out, kMagic);
  std::string packed(static_cast<std::size_t>(LZ4_compressBound(kBlock)), '\0');
  while (!bytes.empty()) {
    const auto block = bytes.substr(0, kBlock);
    const int size = LZ4_compress_HC(block.data(), packed.data(), static_cast<int>(block.size()),
                                     static_cast<int>(packed.size()), LZ4HC_CLEVEL_MAX);
    if (size <= 0) return fail(Code::kInternal, "compress the initramfs: LZ4 refuses a block");
    append_u32_le(out, static_cast<std::uint32_t>(size));
    out.append(packed, 0, static_cast<std::size_t>(size));
    bytes.remove_prefix(block.size());
  }
  return out;
}

}  // namespace

Result<Compression> parse_compression(std::string_view name) {
  if (name == "none") return Compression::kNone;
  if (name == "zstd") return Compression::kZstd;
  if (name == "lz4") return Compression::kLz4;
  return fail(Code::kInvalidArgument,
              fmt::format("compression '{}': not one of zstd, lz4, none", name));
}

Result<std::string> compress(std::string bytes, Compression compression, int level) {
  switch (compression) {
    case Compression::kZstd:
      return compress_zstd(bytes, level);
    case Compression::kLz4:
      return compress_lz4(bytes);
    case Compression::kNone:
      break;
  }
  return bytes;
}

}  // namespace coffer::guest_image
