#include "guest-image/elf.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/byte_reader.h"

namespace coffer::guest_image {
namespace {

constexpr std::size_t kMaxSections = 4096;
constexpr std::size_t kMaxSegments = 128;
constexpr std::size_t kMaxNeeded = 256;
constexpr std::size_t kMaxSymbols = 1U << 18U;

struct Section {
  std::uint32_t name = 0, type = 0, link = 0;
  std::uint64_t offset = 0, size = 0;
};

struct Layout {
  std::uint64_t segments = 0, sections = 0;  // offsets of the two tables
  std::uint16_t segment_count = 0, section_count = 0, names = 0;
};

Result<BytesView> range(BytesView bytes, std::uint64_t offset, std::uint64_t size,
                        const std::string& what) {
  if (offset > bytes.size() || size > bytes.size() - offset) {
    return fail(Code::kInvalidArgument,
                fmt::format("read '{}': {} bytes at offset {} lie outside of the file's {}", what,
                            size, offset, bytes.size()));
  }
  return bytes.subspan(offset, size);
}

Result<std::string> string_at(BytesView table, std::uint64_t offset, const std::string& what) {
  if (offset >= table.size()) {
    return fail(Code::kInvalidArgument,
                fmt::format("read '{}': string offset {} of {}", what, offset, table.size()));
  }
  const auto rest = as_text(table.subspan(offset));
  const auto end = rest.find('\0');
  if (end == std::string_view::npos) {
    return fail(Code::kInvalidArgument, fmt::format("read '{}': a string has no end", what));
  }
  return std::string(rest.substr(0, end));
}

Result<Layout> read_layout(BytesView bytes, const std::string& what) {
  ByteReader reader(bytes, what);
  COFFER_TRY(const auto ident, reader.take(EI_NIDENT));
  if (as_text(ident.first(SELFMAG)) != ELFMAG || ident[EI_CLASS] != ELFCLASS64 ||
      ident[EI_DATA] != ELFDATA2LSB) {
    return fail(Code::kInvalidArgument,
                fmt::format("read '{}': not a 64-bit little-endian ELF file", what));
  }
  Layout layout;
  COFFER_TRY_VOID(reader.skip(2 + 2 + 4 + 8));   // e_type, e_machine, e_version, e_entry
  COFFER_TRY(layout.segments, reader.u64_le());  // e_phoff
  COFFER_TRY(layout.sections, reader.u64_le());  // e_shoff
  COFFER_TRY_VOID(reader.skip(4 + 2 + 2));       // e_flags, e_ehsize, e_phentsize
  COFFER_TRY(layout.segment_count, reader.u16_le());
  COFFER_TRY_VOID(reader.skip(2));  // e_shentsize
  COFFER_TRY(layout.section_count, reader.u16_le());
  COFFER_TRY(layout.names, reader.u16_le());
  if (layout.segment_count > kMaxSegments || layout.section_count > kMaxSections) {
    return fail(Code::kInvalidArgument,
                fmt::format("read '{}': {} segments and {} sections are too many", what,
                            layout.segment_count, layout.section_count));
  }
  return layout;
}

Result<std::vector<Section>> read_sections(BytesView bytes, const Layout& layout,
                                           const std::string& what) {
  COFFER_TRY(const auto table,
             range(bytes, layout.sections, layout.section_count * sizeof(Elf64_Shdr), what));
  ByteReader reader(table, what);
  std::vector<Section> sections(layout.section_count);
  for (auto& section : sections) {
    COFFER_TRY(section.name, reader.u32_le());
    COFFER_TRY(section.type, reader.u32_le());
    COFFER_TRY_VOID(reader.skip(8 + 8));  // sh_flags, sh_addr
    COFFER_TRY(section.offset, reader.u64_le());
    COFFER_TRY(section.size, reader.u64_le());
    COFFER_TRY(section.link, reader.u32_le());
    COFFER_TRY_VOID(reader.skip(4 + 8 + 8));  // sh_info, sh_addralign, sh_entsize
  }
  return sections;
}

Result<std::optional<std::string>> read_interpreter(BytesView bytes, const Layout& layout,
                                                    const std::string& what) {
  COFFER_TRY(const auto table,
             range(bytes, layout.segments, layout.segment_count * sizeof(Elf64_Phdr), what));
  ByteReader reader(table, what);
  for (std::uint16_t i = 0; i < layout.segment_count; ++i) {
    COFFER_TRY(const auto type, reader.u32_le());
    COFFER_TRY_VOID(reader.skip(4));  // p_flags
    COFFER_TRY(const auto offset, reader.u64_le());
    COFFER_TRY_VOID(reader.skip(8 + 8));  // p_vaddr, p_paddr
    COFFER_TRY(const auto size, reader.u64_le());
    COFFER_TRY_VOID(reader.skip(8 + 8));  // p_memsz, p_align
    if (type != PT_INTERP) continue;
    COFFER_TRY(const auto text, range(bytes, offset, size, what));
    COFFER_TRY(auto interpreter, string_at(text, 0, what));
    return interpreter;
  }
  return std::nullopt;
}

Result<std::vector<std::string>> read_needed(BytesView bytes, const Section& dynamic,
                                             std::span<const Section> sections,
                                             const std::string& what) {
  std::vector<std::string> needed;
  if (dynamic.link >= sections.size()) {
    return fail(Code::kInvalidArgument,
                fmt::format("read '{}': .dynamic links to section {}", what, dynamic.link));
  }
  const Section& names = sections[dynamic.link];
  COFFER_TRY(const auto strings, range(bytes, names.offset, names.size, what));
  COFFER_TRY(const auto entries, range(bytes, dynamic.offset, dynamic.size, what));
  ByteReader reader(entries, what);
  while (reader.remaining() >= sizeof(Elf64_Dyn) && needed.size() < kMaxNeeded) {
    COFFER_TRY(const auto tag, reader.u64_le());
    COFFER_TRY(const auto value, reader.u64_le());
    if (tag == DT_NULL) break;
    if (tag != DT_NEEDED) continue;
    COFFER_TRY(auto name, string_at(strings, value, what));
    needed.push_back(std::move(name));
  }
  return needed;
}

// ELF-64 Object File Format 1.5, section 5: st_name, st_info, st_other, st_shndx, st_value,
// st_size.
Status read_symbols(BytesView bytes, const Section& table, std::span<const Section> sections,
                    const std::string& what, ElfInfo& info) {
  if (table.link >= sections.size() || table.size / sizeof(Elf64_Sym) > kMaxSymbols) {
    return fail(Code::kInvalidArgument,
                fmt::format("read '{}': .dynsym of {} bytes links to section {}", what, table.size,
                            table.link));
  }
  const Section& names = sections[table.link];
  COFFER_TRY(const auto strings, range(bytes, names.offset, names.size, what));
  COFFER_TRY(const auto entries, range(bytes, table.offset, table.size, what));
  ByteReader reader(entries, what);
  while (reader.remaining() >= sizeof(Elf64_Sym)) {
    COFFER_TRY(const auto at, reader.u32_le());
    COFFER_TRY(const auto kind, reader.u8());
    COFFER_TRY_VOID(reader.skip(1));
    COFFER_TRY(const auto section, reader.u16_le());
    COFFER_TRY_VOID(reader.skip(8 + 8));
    COFFER_TRY(auto name, string_at(strings, at, what));
    if (name.empty()) continue;
    if (section != SHN_UNDEF) {
      info.defined.push_back(std::move(name));
    } else if (ELF64_ST_BIND(kind) == STB_GLOBAL) {
      info.undefined.push_back(std::move(name));
    }
  }
  return {};
}

std::vector<std::string> split_modinfo(BytesView bytes) {
  std::vector<std::string> strings;
  std::string_view rest = as_text(bytes);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    if (end > 0) strings.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return strings;
}

}  // namespace

Result<ElfInfo> read_elf(BytesView bytes, const std::string& what) {
  ElfInfo info;
  COFFER_TRY(const auto layout, read_layout(bytes, what));
  COFFER_TRY(const auto sections, read_sections(bytes, layout, what));
  COFFER_TRY(info.interpreter, read_interpreter(bytes, layout, what));
  if (layout.names >= sections.size()) return info;
  const Section& names = sections[layout.names];
  COFFER_TRY(const auto strings, range(bytes, names.offset, names.size, what));
  for (const auto& section : sections) {
    if (section.type == SHT_DYNAMIC) {
      COFFER_TRY(info.needed, read_needed(bytes, section, sections, what));
      continue;
    }
    if (section.type == SHT_DYNSYM) {
      COFFER_TRY_VOID(read_symbols(bytes, section, sections, what, info));
      continue;
    }
    if (section.type != SHT_PROGBITS) continue;
    COFFER_TRY(const auto name, string_at(strings, section.name, what));
    if (name != ".modinfo") continue;
    COFFER_TRY(const auto content, range(bytes, section.offset, section.size, what));
    info.modinfo = split_modinfo(content);
  }
  return info;
}

}  // namespace coffer::guest_image
