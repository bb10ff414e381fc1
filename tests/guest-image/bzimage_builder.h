// Makes a bzImage around a payload, as the kernel's build does with zstd.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace coffer::guest_image {

inline void put_u32(std::string& out, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(value >> (8 * i));
}

inline std::string make_bzimage(std::string_view kernel) {
  std::string payload(ZSTD_compressBound(kernel.size()), '\0');
  payload.resize(ZSTD_compress(payload.data(), payload.size(), kernel.data(), kernel.size(), 1));
  payload += std::string(4, '\0');
  put_u32(payload, payload.size() - 4, static_cast<std::uint32_t>(kernel.size()));
  constexpr std::size_t kStart = 512 * 2;  // one sector of set-up code
  constexpr std::uint32_t kOffset = 16;
  std::string out(kStart + kOffset, '\0');
  out[0x1F1] = 1;
  out.replace(0x202, 4, "HdrS");
  out[0x206] = 0x0F;
  out[0x207] = 0x02;
  put_u32(out, 0x248, kOffset);
  put_u32(out, 0x24C, static_cast<std::uint32_t>(payload.size()));
  return out + payload;
}

}  // namespace coffer::guest_image
