// MRTD, the TD HOB and the RTMRs of a direct boot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tee/eventlog/boot_events.h"
#include "tee/eventlog/event_log.h"
#include "tee/tdx/mrtd.h"
#include "tee/tdx/quote.h"
#include "tee/tdx/rtmr.h"
#include "tee/tdx/td_hob.h"
#include "tee/tdx/tdvf.h"
#include "tests/tee/eventlog/pe_builder.h"
#include "tests/tee/tdx/vectors.h"

namespace coffer::tdx {
namespace {

using eventlog::make_pe;
using ::testing::HasSubstr;

void put(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

struct SectionSpec {
  std::uint32_t data_offset = 0;
  std::uint32_t raw_size = 0;
  std::uint64_t address = 0x1000;
  std::uint64_t size = 0x1000;
  std::uint32_t type = 3;
  std::uint32_t attributes = 0;
};

struct ImageSpec {
  std::vector<SectionSpec> sections = {{}};
  std::uint32_t version = 1;
  std::optional<std::uint32_t> count = {}, length = {}, offset = {};
};

// A td-shim style image: one page of 0x5a, the descriptor, and its offset 32 bytes before the end.
Bytes make_image(const ImageSpec& spec) {
  Bytes image(4096, 0x5a);
  const auto descriptor = static_cast<std::uint32_t>(image.size());
  put(image, 0x46564454, 4);  // "TDVF"
  const auto sections = static_cast<std::uint32_t>(spec.sections.size());
  put(image, spec.length.value_or(16 + 32 * sections), 4);
  put(image, spec.version, 4);
  put(image, spec.count.value_or(sections), 4);
  for (const auto& s : spec.sections) {
    put(image, s.data_offset, 4);
    put(image, s.raw_size, 4);
    put(image, s.address, 8);
    put(image, s.size, 8);
    put(image, s.type, 4);
    put(image, s.attributes, 4);
  }
  put(image, spec.offset.value_or(descriptor), 4);
  image.resize(image.size() + 28);
  return image;
}

TEST(Tdvf, ReadsTheSectionsOfOvmf) {
  COFFER_NEED_VECTORS();
  const auto entry = index_entries("tdvf").front();
  const Bytes image = vector_bytes(entry["file"]);
  const auto sections = parse_tdvf(image).value();
  ASSERT_EQ(sections.size(), entry["sections"].size());
  const auto number = [](const nlohmann::json& hex) {
    return std::stoull(hex.get<std::string>(), nullptr, 16);
  };
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const auto& want = entry["sections"][i];
    EXPECT_EQ(sections[i].data_offset, number(want["data_offset"]));
    EXPECT_EQ(sections[i].raw_size, number(want["raw_size"]));
    EXPECT_EQ(sections[i].address, number(want["memory_address"]));
    EXPECT_EQ(sections[i].size, number(want["memory_size"]));
    EXPECT_EQ(static_cast<int>(sections[i].type), want["type"].get<int>());
    EXPECT_EQ(sections[i].attributes, want["attributes"].get<std::uint32_t>());
  }
}

TEST(Tdvf, RefusesMetadataThatLies) {
  struct Case {
    ImageSpec spec;
    const char* error;
  };
  const std::vector<Case> cases = {
      {{.version = 2}, "descriptor version: got 2"},
      {{.count = 0}, "section count: got 0"},
      {{.count = 0xffffffff}, "section count: got 4294967295"},
      {{.length = 47}, "descriptor length: got 47"},
      {{.offset = 0xffffff00}, "has no TDX metadata"},
      {{.offset = 0}, "has no TDX metadata"},
      {{.sections = {{.size = 0x1001}}}, "not of whole pages"},
      {{.sections = {{.address = 0x800}}}, "not of whole pages"},
      {{.sections = {{.address = ~0xfffULL, .size = 0x2000}}}, "too large"},
      {{.sections = {{.raw_size = 0x1001}}}, "0x1001 bytes in 0x1000"},
      {{.sections = {{.data_offset = 0xffffffff, .raw_size = 1}}}, "outside the image"},
      {{.sections = {{.type = 9}}}, "section type: got 9"},
      {{.sections = {{.type = 256}}}, "section type: got 256"},
      {{.sections = {{.attributes = 4}}}, "unknown bits in 0x4"},
      {{.sections = {{}, {}}}, "0 and 1 overlap"},
      {{.sections = {{.size = 0x10001000}}}, "more than 256 MiB"},
  };
  for (const auto& test : cases) {
    const auto sections = parse_tdvf(make_image(test.spec));
    ASSERT_FALSE(sections) << test.error;
    EXPECT_THAT(sections.error().to_string(), HasSubstr(test.error));
  }
  EXPECT_TRUE(parse_tdvf(make_image({})));
  EXPECT_FALSE(parse_tdvf({}));
}

TEST(Mrtd, EqualsTheVectorInBothOrders) {
  COFFER_NEED_VECTORS();
  const auto entry = index_entries("tdvf").front();
  const Bytes image = vector_bytes(entry["file"]);
  EXPECT_EQ(to_hex(compute_mrtd(image, MrtdOrder::kSinglePass).value()),
            entry["expected_mrtd_single_pass"].get<std::string>());
  EXPECT_EQ(to_hex(compute_mrtd(image, MrtdOrder::kTwoPass).value()),
            entry["expected_mrtd_two_pass"].get<std::string>());
}

TEST(Mrtd, DependsOnContentOnlyWhereItIsExtended) {
  const auto mrtd = [](std::uint32_t attributes, std::uint8_t content) {
    Bytes image = make_image({.sections = {{.raw_size = 0x1000, .attributes = attributes}}});
    image[100] = content;
    return compute_mrtd(image, MrtdOrder::kSinglePass).value();
  };
  EXPECT_EQ(mrtd(0, 1), mrtd(0, 2));
  EXPECT_NE(mrtd(kTdvfMrExtend, 1), mrtd(kTdvfMrExtend, 2));
  EXPECT_NE(mrtd(0, 1), mrtd(kTdvfPageAug, 1));
}

TEST(TdHob, EqualsEveryVector) {
  COFFER_NEED_VECTORS();
  const auto vectors = vector_json("rtmr/td_hob_and_constants.json");
  const auto number = [](const nlohmann::json& hex) {
    return std::stoull(hex.get<std::string>(), nullptr, 16);
  };
  const auto check = [&](const nlohmann::json& test) {
    std::vector<TdvfSection> sections;
    for (const auto& range : test["accepted_ranges"]) {
      const bool hob = range[0] == test["td_hob_address"];
      sections.push_back({.address = number(range[0]),
                          .size = number(range[1]),
                          .type = hob ? TdvfSectionType::kTdHob : TdvfSectionType::kTempMemory});
    }
    const Bytes hob = build_td_hob(sections, test["memory_bytes"].get<std::uint64_t>()).value();
    EXPECT_EQ(to_hex(hob), test.value("hob_hex", to_hex(hob)));
    EXPECT_EQ(to_hex(tee::sha384(hob)), test["sha384"].get<std::string>());
  };
  for (const auto& test : vectors["td_hob"]) check(test);
  for (const auto& test : vectors["td_hob_digest_only"]) check(test);
}

TEST(TdHob, RefusesFirmwareThatDoesNotFit) {
  const std::vector<TdvfSection> sections = {
      {.address = 0x800000, .size = 0x1000, .type = TdvfSectionType::kTdHob}};
  EXPECT_FALSE(build_td_hob(sections, 0x800000));
  EXPECT_TRUE(build_td_hob(sections, 0x801000));
  EXPECT_FALSE(build_td_hob({}, 1U << 30U));
}

TEST(BootEvents, EqualTheConstantsOfRealLogs) {
  COFFER_NEED_VECTORS();
  using namespace eventlog;
  const auto want = vector_json("rtmr/td_hob_and_constants.json")["constants"];
  constexpr Alg kAlg = Alg::kSha384;
  const auto variable = [](EmptyVariable v) {
    return to_hex(empty_variable_digest(kAlg, v).value());
  };
  EXPECT_EQ(to_hex(separator_digest(kAlg).value()), want["separator"].get<std::string>());
  EXPECT_EQ(to_hex(boot_order_digest(kAlg).value()), want["boot_order_0000"].get<std::string>());
  EXPECT_EQ(to_hex(boot_ui_app_digest(kAlg).value()), want["boot0000_uiapp"].get<std::string>());
  EXPECT_EQ(to_hex(action_digest(kAlg, kCallingEfiApplication).value()),
            want["calling_efi_app"].get<std::string>());
  EXPECT_EQ(to_hex(action_digest(kAlg, kExitBootServices).value()),
            want["exit_bs_invocation"].get<std::string>());
  EXPECT_EQ(to_hex(action_digest(kAlg, kExitBootServicesSuccess).value()),
            want["exit_bs_success"].get<std::string>());
  EXPECT_EQ(variable(EmptyVariable::kSecureBoot), want["secureboot_absent"].get<std::string>());
  EXPECT_EQ(variable(EmptyVariable::kPk), want["pk_absent"].get<std::string>());
  EXPECT_EQ(variable(EmptyVariable::kKek), want["kek_absent"].get<std::string>());
  EXPECT_EQ(variable(EmptyVariable::kDb), want["db_absent"].get<std::string>());
  EXPECT_EQ(variable(EmptyVariable::kDbx), want["dbx_absent"].get<std::string>());
}

TEST(Rtmr, ReplayOfARealTdGivesItsSignedRegisters) {
  COFFER_NEED_VECTORS();
  const auto vectors = vector_json("rtmr/dstack_qr_recompute.json");
  const Bytes bytes = vector_bytes(vectors["quote"]);
  const Quote quote = parse_quote(bytes).value();
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string name = "rtmr" + std::to_string(i);
    std::vector<MeasuredEvent> events;
    for (const auto& hex : vectors[name]) {
      MeasuredEvent& event = events.emplace_back();
      std::ranges::copy(from_hex(hex.get<std::string>()).value(), event.digest.begin());
    }
    EXPECT_EQ(to_hex(replay_events(events)), vectors["expected"][name].get<std::string>());
    EXPECT_EQ(replay_events(events), quote.td.rtmr[i]);
  }
}

TEST(Authenticode, IgnoresExactlyChecksumCertificateEntryAndTable) {
  using eventlog::Alg;
  const Bytes pe = make_pe();
  const Bytes digest = eventlog::authenticode(Alg::kSha384, pe).value();
  std::vector<std::size_t> ignored;
  for (std::size_t i = 0; i < pe.size(); ++i) {
    Bytes changed = pe;
    changed[i] ^= 1;
    const auto other = eventlog::authenticode(Alg::kSha384, changed);
    if (other && *other == digest) ignored.push_back(i);
  }
  std::vector<std::size_t> want;
  for (std::size_t i = 0; i < 4; ++i) want.push_back(0x58 + 64 + i);
  // The entry's offset; its size says where the table begins.
  for (std::size_t i = 0; i < 4; ++i) want.push_back(0x58 + 112 + 32 + i);
  for (std::size_t i = 0; i < 8; ++i) want.push_back(0x300 + i);
  EXPECT_EQ(ignored, want);
}

TEST(Authenticode, RefusesWhatIsNoImage) {
  using eventlog::Alg;
  const Bytes pe = make_pe();
  for (std::size_t size = 0; size < 0x300; ++size) {
    EXPECT_FALSE(eventlog::authenticode(Alg::kSha384, BytesView(pe).first(size))) << size;
  }
}

TEST(Rtmr, PredictsFromKernelInitrdAndCommandLine) {
  const Bytes kernel = make_pe();
  const Bytes initrd = {1, 2, 3};
  const DirectBoot boot{.kernel = kernel, .initrd = initrd, .command_line = "console=hvc0"};
  const auto events = predict_events({}, boot, std::nullopt).value();
  EXPECT_FALSE(events.rtmr0);
  ASSERT_EQ(events.rtmr1.size(), 5U);
  ASSERT_EQ(events.rtmr2.size(), 2U);
  std::string utf16;
  for (const char c : std::string("console=hvc0 initrd=initrd") + '\0') {
    utf16 += c;
    utf16 += '\0';
  }
  EXPECT_EQ(events.rtmr2[0].digest, tee::sha384(as_bytes(utf16)));
  EXPECT_EQ(events.rtmr2[1].digest, tee::sha384(initrd));

  DirectBoot other = boot;
  other.command_line += " ";  // trailing white space counts
  EXPECT_NE(replay_events(predict_events({}, other, std::nullopt)->rtmr2),
            replay_events(events.rtmr2));
  other = boot;
  other.separator_in_rtmr0 = true;
  EXPECT_EQ(predict_events({}, other, std::nullopt)->rtmr1.size(), 4U);
  other.command_line = "\xff";
  EXPECT_FALSE(predict_events({}, other, std::nullopt));
}

// The machine of dstack_qr: its HOB, store and variables are computed, its ACPI digests recorded.
TEST(Rtmr, PredictsRtmr0OfARealTdFromItsShape) {
  COFFER_NEED_VECTORS();
  const auto vectors = vector_json("rtmr/dstack_qr_recompute.json");
  const Bytes firmware = vector_bytes("mrtd/OVMF.inteltdx.fd");
  PlatformShape shape{.memory = std::uint64_t{64} << 30U, .acpi = {}};
  for (std::size_t i = 0; i < 3; ++i) {
    std::ranges::copy(from_hex(vectors["rtmr0"][8 + i].get<std::string>()).value(),
                      shape.acpi[i].begin());
  }
  const Bytes kernel = make_pe();
  const auto events =
      predict_events(firmware, {.kernel = kernel, .initrd = {}, .command_line = ""}, shape).value();
  ASSERT_TRUE(events.rtmr0);
  ASSERT_EQ(events.rtmr0->size(), vectors["rtmr0"].size());
  for (std::size_t i = 0; i < events.rtmr0->size(); ++i) {
    if (i == 1) continue;  // the variable store of another firmware image
    EXPECT_EQ(to_hex((*events.rtmr0)[i].digest), vectors["rtmr0"][i].get<std::string>())
        << (*events.rtmr0)[i].what;
  }
}

}  // namespace
}  // namespace coffer::tdx
