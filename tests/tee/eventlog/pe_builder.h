// A kernel, as far as firmware looks at it before it measures it.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace coffer::eventlog {

// A small PE32+ image: headers of 0x200 bytes, one section, a certificate table of 8 bytes.
inline Bytes make_pe() {
  Bytes pe(0x200);
  pe[0] = 'M';
  pe[1] = 'Z';
  pe[0x3c] = 0x40;
  const auto set = [&](std::size_t at, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) pe[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  };
  set(0x40, 0x4550, 4);
  set(0x46, 1, 2);           // sections
  set(0x54, 0xf0, 2);        // optional header size
  set(0x58, 0x20b, 2);       // PE32+
  set(0x58 + 60, 0x200, 4);  // SizeOfHeaders
  set(0x58 + 108, 16, 4);    // directories
  set(0x58 + 112 + 32, 0x300, 4);
  set(0x58 + 112 + 36, 8, 4);       // certificate table size
  set(0x58 + 0xf0 + 16, 0x100, 4);  // SizeOfRawData
  set(0x58 + 0xf0 + 20, 0x200, 4);  // PointerToRawData
  pe.resize(0x300, 0xab);
  pe.resize(0x308, 0xcd);
  return pe;
}

}  // namespace coffer::eventlog
