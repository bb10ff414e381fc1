// Firmware images that lie, and what other tools read out of them wrongly.
#include <gtest/gtest.h>

#include <algorithm>

#include "tee/firmware_footer.h"
#include "tee/sev-snp/launch_digest.h"

namespace coffer::snp {
namespace {

constexpr std::string_view kFooter = "96b582de-1fb2-45f7-baea-a366c55a082d";
constexpr std::string_view kMetadata = "dc886566-984a-4798-a75e-5585a7bf67cc";
constexpr std::string_view kHashTable = "7255371f-3a3b-4b04-927b-1da6efa8d454";

void append_u32(Bytes& out, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void append(Bytes& out, BytesView more) { out.insert(out.end(), more.begin(), more.end()); }

// Its size and GUID behind the data; the size may lie.
Bytes entry(std::string_view guid, BytesView data, std::optional<std::size_t> size = {}) {
  Bytes out(data.begin(), data.end());
  const std::size_t said = size.value_or(data.size() + 18);
  out.push_back(static_cast<std::uint8_t>(said));
  out.push_back(static_cast<std::uint8_t>(said >> 8U));
  append(out, tee::uefi_guid_octets(guid));
  return out;
}

Bytes words(std::initializer_list<std::uint32_t> values) {
  Bytes out;
  for (const auto value : values) append_u32(out, value);
  return out;
}

// A page that starts with `descriptor` and ends with a table of `entries`.
Bytes image_of(const Bytes& descriptor, const Bytes& entries,
               std::optional<std::size_t> table_size = {}) {
  Bytes image(4096);
  std::ranges::copy(descriptor, image.begin());
  Bytes table = entries;
  append(table, entry(kFooter, {}, table_size.value_or(entries.size() + 18)));
  std::ranges::copy(table, image.end() - 32 - static_cast<std::ptrdiff_t>(table.size()));
  return image;
}

struct Descriptor {
  std::string_view signature = "ASEV";
  std::optional<std::uint32_t> length = std::nullopt;
  std::uint32_t version = 1;
  std::optional<std::uint32_t> count = std::nullopt;
  std::vector<Section> sections = {};

  [[nodiscard]] Bytes bytes() const {
    Bytes out = to_bytes(signature);
    const auto actual = static_cast<std::uint32_t>(sections.size());
    append(out, words({length.value_or(16 + 12 * actual), version, count.value_or(actual)}));
    for (const auto& section : sections) {
      append(out, words({section.gpa, section.size, static_cast<std::uint32_t>(section.type)}));
    }
    return out;
  }
};

Bytes firmware(const Descriptor& descriptor) {
  return image_of(descriptor.bytes(), entry(kMetadata, words({4096})));
}

Bytes firmware_of_type(std::uint32_t type) {
  return firmware(
      {.sections = {{.gpa = 0x800000, .size = 0x1000, .type = static_cast<SectionType>(type)}}});
}

bool sections_are_taken(const std::vector<Section>& sections) {
  return parse_sev_metadata(firmware({.sections = sections})).has_value();
}

TEST(Mistakes, ASectionsTypeIsComparedWholeNotByItsLowOctet) {
  EXPECT_TRUE(parse_sev_metadata(firmware_of_type(0x10)));
  EXPECT_FALSE(parse_sev_metadata(firmware_of_type(0x110)));
  EXPECT_FALSE(parse_sev_metadata(firmware_of_type(0x0)));
  EXPECT_FALSE(parse_sev_metadata(firmware_of_type(0x5)));
}

TEST(Mistakes, WhiteSpaceOfTheCommandLineCounts) {
  EXPECT_NE(hash_kernel({}, {}, "a").cmdline, hash_kernel({}, {}, "a ").cmdline);
  EXPECT_NE(hash_kernel({}, {}, "a").cmdline, hash_kernel({}, {}, " a").cmdline);
}

TEST(Mistakes, AKernelIsNotMeasuredWhereItsHashesHaveNoPlace) {
  // Neither without the section, nor with the section and no address of the table in it: such
  // firmware boots kernels that nothing measured.
  const Bytes no_section = firmware_of_type(0x1);
  const Bytes no_table = firmware_of_type(0x10);
  const Bytes zero_table = image_of(
      Descriptor{
          .sections = {{.gpa = 0x800000, .size = 0x1000, .type = SectionType::kKernelHashes}}}
          .bytes(),
      [] {
        Bytes entries = entry(kHashTable, words({0, 0}));
        append(entries, entry(kMetadata, words({4096})));
        return entries;
      }());
  for (const Bytes& image : {no_section, no_table, zero_table}) {
    const auto metadata = parse_sev_metadata(image);
    ASSERT_TRUE(metadata) << metadata.error().to_string();
    const SnpLaunch launch{.firmware = *measure_firmware(image),
                           .metadata = *metadata,
                           .kernel = hash_kernel({}, {}, "")};
    const auto digest = snp_launch_digest(launch, {.count = 1});
    ASSERT_FALSE(digest);
    EXPECT_EQ(digest.error().code(), Code::kFailedPrecondition);
  }
}

TEST(Firmware, RefusesATableWhoseSizeLies) {
  const Bytes good = entry(kMetadata, words({4096}));
  const Bytes descriptor = Descriptor{}.bytes();
  EXPECT_TRUE(parse_sev_metadata(image_of(descriptor, good)));
  for (const unsigned size : {0U, 17U, 19U, 18U + 21U, 4096U, 65535U}) {
    EXPECT_FALSE(parse_sev_metadata(image_of(descriptor, good, size))) << size;
  }
}

TEST(Firmware, RefusesAnEntryWhoseSizeLies) {
  const Bytes descriptor = Descriptor{}.bytes();
  for (const unsigned size : {0U, 1U, 17U, 21U, 23U, 4096U, 65535U}) {
    EXPECT_FALSE(parse_sev_metadata(image_of(descriptor, entry(kMetadata, words({4096}), size))))
        << size;
  }
  Bytes twice = entry(kMetadata, words({4096}));
  append(twice, entry(kMetadata, words({4096})));
  EXPECT_FALSE(parse_sev_metadata(image_of(descriptor, twice)));
}

TEST(Firmware, RefusesAMetadataOffsetOutOfTheImage) {
  for (const std::uint32_t offset : {0U, 1U, 4097U, 0xFFFFFFFFU}) {
    EXPECT_FALSE(
        parse_sev_metadata(image_of(Descriptor{}.bytes(), entry(kMetadata, words({offset})))))
        << offset;
  }
  EXPECT_FALSE(parse_sev_metadata(image_of(Descriptor{}.bytes(), entry(kMetadata, Bytes(3)))));
}

TEST(Firmware, RefusesADescriptorThatLies) {
  EXPECT_FALSE(parse_sev_metadata(firmware({.signature = "TDVF"})));
  EXPECT_FALSE(parse_sev_metadata(firmware({.length = 17})));
  EXPECT_FALSE(parse_sev_metadata(firmware({.version = 2})));
  EXPECT_FALSE(parse_sev_metadata(firmware({.count = 1})));
  EXPECT_FALSE(parse_sev_metadata(firmware({.count = 0xFFFFFFFF})));
  // A length that agrees only when the multiplication wraps.
  EXPECT_FALSE(parse_sev_metadata(firmware({.length = 16, .count = 0x40000000})));
}

TEST(Firmware, RefusesSectionsThatNoLaunchHas) {
  const Section good{.gpa = 0x800000, .size = 0x1000, .type = SectionType::kSnpSecMem};
  EXPECT_TRUE(sections_are_taken({good}));
  const auto with = [&](std::uint32_t gpa, std::uint32_t size) {
    return sections_are_taken({{.gpa = gpa, .size = size, .type = SectionType::kSnpSecMem}});
  };
  EXPECT_FALSE(with(0x800001, 0x1000));
  EXPECT_FALSE(with(0x800000, 0x1001));
  EXPECT_FALSE(with(0x800000, 0));
  EXPECT_TRUE(with(0xFFFFF000, 0x1000)) << "the last page below 4 GiB";
  EXPECT_FALSE(with(0xFFFFF000, 0x2000)) << "wraps 32 bits";
  EXPECT_FALSE(sections_are_taken({good, good})) << "overlap";
  for (const auto type : {SectionType::kSecrets, SectionType::kCpuid, SectionType::kKernelHashes}) {
    EXPECT_TRUE(sections_are_taken({{.gpa = 0x1000, .size = 0x1000, .type = type}}));
    EXPECT_FALSE(sections_are_taken({{.gpa = 0x1000, .size = 0x2000, .type = type}}));
  }
  std::vector<Section> many;
  for (std::uint32_t i = 0; i < 64; ++i) many.push_back({.gpa = i * 0x2000, .size = 0x1000});
  EXPECT_TRUE(sections_are_taken(many));
  many.push_back({.gpa = 0x1000000, .size = 0x1000});
  EXPECT_FALSE(sections_are_taken(many));
}

TEST(Firmware, WithoutATableHoldsNothing) {
  for (const unsigned size : {0U, 1U, 31U, 49U, 50U, 4096U}) {
    const auto metadata = parse_sev_metadata(Bytes(size));
    ASSERT_TRUE(metadata) << size;
    EXPECT_TRUE(metadata->sections.empty());
  }
}

}  // namespace
}  // namespace coffer::snp
