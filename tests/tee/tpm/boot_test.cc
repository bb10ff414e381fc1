// What a verdict says of a direct boot, from logs of our making.
#include <gtest/gtest.h>

#include "tee/eventlog/boot_events.h"
#include "tee/private_key.h"
#include "tee/tpm/ima.h"
#include "tee/tpm/predict.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;
using Names = std::vector<std::string>;

constexpr std::uint32_t kTagInitrd = 0x8f3b22ec;
constexpr std::uint32_t kTagLoadOptions = 0x8f3b22ed;

void put(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

Bytes tagged(std::uint32_t tag) {
  Bytes out;
  put(out, tag, 4);
  put(out, 0, 4);
  return out;
}

// A log of SHA-256, and the PCRs that its events make.
class Boot {
 public:
  Boot() {
    put(log_, 0, 4);
    put(log_, eventlog::kEvNoAction, 4);
    log_.resize(log_.size() + 20);
    put(log_, 33, 4);
    for (const std::uint8_t c : to_bytes(std::string_view("Spec ID Event03\0", 16)))
      put(log_, c, 1);
    put(log_, 0x0200020000000000, 8);
    put(log_, 1, 4);
    put(log_, 0x0020000b, 4);
    put(log_, 0, 1);
    for (unsigned pcr = 0; pcr < 11; ++pcr) pcrs_[pcr] = Bytes(32);
  }
  Boot& event(unsigned pcr, std::uint32_t type, const Bytes& digest, const Bytes& data) {
    put(log_, pcr, 4);
    put(log_, type, 4);
    put(log_, 1, 4);
    put(log_, 0x000b, 2);
    log_.insert(log_.end(), digest.begin(), digest.end());
    put(log_, data.size(), 4);
    log_.insert(log_.end(), data.begin(), data.end());
    return extend(pcr, digest);
  }
  Boot& extend(unsigned pcr, const Bytes& digest) {
    pcrs_[pcr] = eventlog::extend(Alg::kSha256, pcrs_[pcr], digest).value();
    return *this;
  }
  [[nodiscard]] const Bytes& log() const { return log_; }
  [[nodiscard]] PcrValues& pcrs() { return pcrs_; }

 private:
  Bytes log_;
  PcrValues pcrs_;
};

class BootTest : public ::testing::Test {
 protected:
  static Bytes digest_of(std::string_view text) {
    return eventlog::hash(Alg::kSha256, as_bytes(text)).value();
  }
  // Kernel, command line, initrd.
  static Boot boot(std::string_view kernel, std::string_view line, std::string_view initrd) {
    Boot out;
    out.event(4, eventlog::kEvEfiBootServicesApplication, digest_of(kernel), {});
    out.event(9, eventlog::kEvEventTag, digest_of(line), tagged(kTagLoadOptions));
    if (!initrd.empty()) {
      out.event(9, eventlog::kEvEventTag, digest_of(initrd), tagged(kTagInitrd));
    }
    return out;
  }
  // The failed checks of the log and the boot; the quote's own are not looked at here.
  Names failures(Boot boot) const {
    const auto key = tee::PrivateKey::generate_ec(tee::Curve::kP256).value();
    const Bytes attest = quote_of(boot.pcrs());
    const Evidence evidence{.attest = attest,
                            .signature = {},
                            .pcrs = {{Alg::kSha256, boot.pcrs()}},
                            .event_log = boot.log()};
    Names names;
    for (const auto& check :
         verify(evidence, {.key = key.public_key(), .restricted = true}, want_).failed()) {
      if (check.name != "signature") names.push_back(check.name);
    }
    return names;
  }
  static Bytes quote_of(const PcrValues& pcrs) {
    Bytes all;
    for (const auto& [pcr, value] : pcrs) all.insert(all.end(), value.begin(), value.end());
    Bytes out = {0xff, 'T', 'C', 'G', 0x80, 0x18, 0, 0, 0, 0};
    out.resize(out.size() + 8 + 4 + 4 + 1 + 8);
    for (const int byte : {0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0x07, 0, 0, 32}) {
      out.push_back(static_cast<std::uint8_t>(byte));
    }
    const Bytes digest = eventlog::hash(Alg::kSha256, all).value();
    out.insert(out.end(), digest.begin(), digest.end());
    return out;
  }
  void want(std::string_view kernel, std::string_view line, std::string_view initrd) {
    want_.boot =
        BootDigests{.kernel = digest_of(kernel), .command_line = digest_of(line), .initrd = {}};
    if (!initrd.empty()) want_.boot->initrd = digest_of(initrd);
  }

  Expectations want_;
};

TEST_F(BootTest, NamesWhatDiffers) {
  want("kernel", "line", "initrd");
  EXPECT_EQ(failures(boot("kernel", "line", "initrd")), Names{});
  EXPECT_EQ(failures(boot("kernek", "line", "initrd")), Names{"boot.kernel"});
  EXPECT_EQ(failures(boot("kernel", "linf", "initrd")), Names{"boot.command_line"});
  EXPECT_EQ(failures(boot("kernel", "line", "initre")), Names{"boot.initrd"});
  EXPECT_EQ(failures(boot("kernel", "line", "")), Names{"boot.initrd"});
  want("kernel", "line", "");
  EXPECT_EQ(failures(boot("kernel", "line", "")), Names{});
  EXPECT_EQ(failures(boot("kernel", "line", "initrd")), Names{"boot.initrd"});
}

TEST_F(BootTest, RefusesASecondKernelOrCommandLine) {
  want("kernel", "line", "initrd");
  Boot two = boot("kernel", "line", "initrd");
  two.event(4, eventlog::kEvEfiBootServicesApplication, digest_of("other"), {});
  EXPECT_EQ(failures(two), Names{"boot.kernel"});
  two = boot("kernel", "line", "initrd");
  two.event(9, eventlog::kEvEventTag, digest_of("other"), tagged(kTagLoadOptions));
  EXPECT_EQ(failures(two), Names{"boot.command_line"});
}

TEST_F(BootTest, AccountsForImasBootAggregateAndNothingElse) {
  Boot measured = boot("kernel", "line", "initrd");
  for (const bool with_signature : {false, true}) {
    Bytes all;
    for (unsigned pcr = 0; pcr < 10; ++pcr) {
      const Bytes& value = measured.pcrs()[pcr];
      all.insert(all.end(), value.begin(), value.end());
    }
    const Bytes aggregate = eventlog::hash(Alg::kSha256, all).value();
    Bytes entry;
    put(entry, 8 + aggregate.size(), 4);
    const Bytes algorithm = to_bytes(std::string_view("sha256:\0", 8));
    entry.insert(entry.end(), algorithm.begin(), algorithm.end());
    entry.insert(entry.end(), aggregate.begin(), aggregate.end());
    put(entry, 15, 4);
    const Bytes name = to_bytes(std::string_view("boot_aggregate\0", 15));
    entry.insert(entry.end(), name.begin(), name.end());
    if (with_signature) put(entry, 0, 4);
    Boot good = measured;
    good.extend(kImaPcr, eventlog::hash(Alg::kSha256, entry).value());
    EXPECT_TRUE(is_ima_boot_aggregate(good.pcrs())) << with_signature;
    EXPECT_EQ(failures(good), Names{});
    // What the guest measured later, IMA had not seen.
    Boot later = good;
    later.event(8, eventlog::kEvEventTag, digest_of("initdata"), tagged(0x434f4646));
    EXPECT_EQ(failures(later), Names{});
    Boot earlier = good;
    earlier.event(8, eventlog::kEvEventTag, digest_of("initdata"), tagged(0x1));
    EXPECT_EQ(failures(earlier), Names{"event_log.pcr_10"});
    Boot more = good;
    more.extend(kImaPcr, digest_of("a program"));
    EXPECT_EQ(failures(more), Names{"event_log.pcr_10"});
    good.pcrs().erase(3);
    EXPECT_FALSE(is_ima_boot_aggregate(good.pcrs()));
  }
  Boot other = measured;
  other.extend(8, digest_of("unlogged"));
  EXPECT_EQ(failures(other), Names{"event_log.pcr_8"});
}

TEST_F(BootTest, SaysThatNothingTellsWhatDiffersWithoutALog) {
  want("kernel", "line", "initrd");
  const auto key = tee::PrivateKey::generate_ec(tee::Curve::kP256).value();
  const Bytes attest = quote_of({});
  const Evidence evidence{.attest = attest, .signature = {}, .pcrs = {}, .event_log = {}};
  const auto verdict = verify(evidence, {.key = key.public_key(), .restricted = true}, want_);
  ASSERT_NE(verdict.find("boot"), nullptr);
}

}  // namespace
}  // namespace coffer::tpm
