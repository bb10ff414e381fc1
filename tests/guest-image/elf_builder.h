// Makes small ELF64 files for tests: a module with a .modinfo, or a file to corrupt.
#pragma once

#include <elf.h>

#include <cstring>
#include <string>
#include <string_view>

namespace coffer::guest_image {

template <typename T>
void append_struct(std::string& out, const T& value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  out += bytes;
}

// Layout: header, .modinfo, .shstrtab, section headers (null, .modinfo, .shstrtab).
inline std::string make_module(std::string_view modinfo) {
  const std::string names = std::string("\0.modinfo\0.shstrtab\0", 20);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_shoff = sizeof header + modinfo.size() + names.size();
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 2;
  Elf64_Shdr info{};
  info.sh_name = 1;
  info.sh_type = SHT_PROGBITS;
  info.sh_offset = sizeof header;
  info.sh_size = modinfo.size();
  Elf64_Shdr strings{};
  strings.sh_name = 10;
  strings.sh_type = SHT_STRTAB;
  strings.sh_offset = sizeof header + modinfo.size();
  strings.sh_size = names.size();
  std::string out;
  append_struct(out, header);
  out += modinfo;
  out += names;
  append_struct(out, Elf64_Shdr{});
  append_struct(out, info);
  append_struct(out, strings);
  return out;
}

}  // namespace coffer::guest_image
