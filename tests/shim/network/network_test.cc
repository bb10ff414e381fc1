#include "shim/network/network.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "base/netlink/netns.h"
#include "base/netlink/rtnetlink.h"

namespace coffer::shim {
namespace {

using netlink::IpAddress;
using netlink::parse_mac;
using netlink::Rtnetlink;
using testing::HasSubstr;
using testing::IsEmpty;

// A pod's namespace with eth0 in it, as a CNI plugin leaves it, and the other end of its veth in a
// second namespace that stands for the host.
class PodNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a network namespace";
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "needs /dev/net/tun";
    ASSERT_TRUE(create_netns(pod_));
    ASSERT_TRUE(create_netns(host_));
    const auto made = in(pod_, [this](Rtnetlink& rtnetlink) -> Status {
      COFFER_TRY_VOID(rtnetlink.create_veth("eth0", "peer"));
      COFFER_TRY(const auto eth0, rtnetlink.link("eth0"));
      COFFER_TRY(const auto peer, rtnetlink.link("peer"));
      COFFER_TRY_VOID(rtnetlink.set_mac(eth0.index, *parse_mac("02:00:00:00:00:01")));
      COFFER_TRY_VOID(rtnetlink.set_mtu(eth0.index, 1420));
      COFFER_TRY_VOID(rtnetlink.set_up(eth0.index, true));
      COFFER_TRY_VOID(rtnetlink.add_address(
          {.link = eth0.index, .address = *IpAddress::parse("10.1.2.3"), .prefix = 24}));
      COFFER_TRY(const Fd host, netlink::open_netns(host_));
      COFFER_TRY_VOID(rtnetlink.move_link(peer.index, host.get()));
      return {};
    });
    ASSERT_TRUE(made) << made.error().to_string();
    const auto up = in(host_, [](Rtnetlink& rtnetlink) -> Status {
      COFFER_TRY(const auto peer, rtnetlink.link("peer"));
      return rtnetlink.set_up(peer.index, true);
    });
    ASSERT_TRUE(up) << up.error().to_string();
    ASSERT_TRUE(in(pod_, [](Rtnetlink& rtnetlink) -> Status {
      COFFER_TRY(const auto eth0, rtnetlink.link("eth0"));
      netlink::Route route;
      route.gateway = *IpAddress::parse("10.1.2.1");
      route.link = eth0.index;
      route.protocol = RTPROT_BOOT;
      COFFER_TRY_VOID(rtnetlink.add_route(route));
      return rtnetlink.add_neighbour({.link = eth0.index,
                                      .address = *IpAddress::parse("10.1.2.1"),
                                      .mac = *parse_mac("02:00:00:00:00:09"),
                                      .state = NUD_PERMANENT});
    }));
  }
  void TearDown() override {
    EXPECT_TRUE(remove_netns(pod_));
    EXPECT_TRUE(remove_netns(host_));
  }

  static Status in(const std::filesystem::path& netns,
                   const std::function<Status(Rtnetlink&)>& work) {
    COFFER_TRY(const Fd fd, netlink::open_netns(netns));
    return netlink::in_netns(fd.get(), [&]() -> Status {
      COFFER_TRY(auto rtnetlink, Rtnetlink::open());
      return work(rtnetlink);
    });
  }

  std::vector<std::string> pod_links() const {
    std::vector<std::string> names;
    EXPECT_TRUE(in(pod_, [&](Rtnetlink& rtnetlink) -> Status {
      COFFER_TRY(const auto links, rtnetlink.links());
      for (const auto& link : links) names.push_back(link.name);
      return {};
    }));
    return names;
  }

  std::filesystem::path pod_ =
      std::filesystem::temp_directory_path() / ("coffer-pod-" + std::to_string(::getpid()));
  std::filesystem::path host_ =
      std::filesystem::temp_directory_path() / ("coffer-host-" + std::to_string(::getpid()));
};

TEST_F(PodNetworkTest, TellsTheGuestWhatStandsInTheNamespace) {
  const auto network = connect_network(pod_, {});
  ASSERT_TRUE(network) << network.error().to_string();
  ASSERT_EQ(network->endpoints.size(), 1U);
  const auto& endpoint = network->endpoints.front();
  EXPECT_EQ(endpoint.interface.name, "eth0");
  EXPECT_EQ(endpoint.interface.mac, "02:00:00:00:00:01");
  EXPECT_EQ(endpoint.interface.mtu, 1420U);
  EXPECT_EQ(endpoint.interface.type, "veth");
  ASSERT_EQ(endpoint.interface.addresses.size(), 1U);
  EXPECT_EQ(endpoint.interface.addresses[0].address, "10.1.2.3");
  EXPECT_EQ(endpoint.interface.addresses[0].prefix, 24U);
  EXPECT_EQ(endpoint.tap, "tap0_kata");
  EXPECT_EQ(endpoint.taps.size(), 1U);
  // The route of the address itself is the kernel's own, in the guest as here.
  ASSERT_EQ(network->routes.size(), 1U);
  EXPECT_EQ(network->routes[0].destination, "");
  EXPECT_EQ(network->routes[0].gateway, "10.1.2.1");
  EXPECT_EQ(network->routes[0].device, "eth0");
  ASSERT_EQ(network->neighbours.size(), 1U);
  EXPECT_EQ(network->neighbours[0].mac, "02:00:00:00:00:09");
}

// A broadcast ARP-like frame of an experimental type (IEEE 802 local experimental 1).
constexpr std::uint16_t kType = 0x88b5;
std::array<std::uint8_t, 60> frame() {
  std::array<std::uint8_t, 60> bytes{};
  std::fill_n(bytes.begin(), 6, std::uint8_t{0xff});
  bytes[6] = 2;
  bytes[12] = kType >> 8U;
  bytes[13] = kType & 0xffU;
  bytes[14] = 42;
  return bytes;
}

bool readable(int fd) {
  pollfd poll{fd, POLLIN, 0};
  constexpr int kFailsafeMs = 10000;
  return ::poll(&poll, 1, kFailsafeMs) == 1;
}

TEST_F(PodNetworkTest, FramesCrossBothWays) {
  auto network = connect_network(pod_, {});
  ASSERT_TRUE(network) << network.error().to_string();
  const int tap = network->endpoints[0].taps[0].get();
  Fd peer;
  ASSERT_TRUE(in(host_, [&](Rtnetlink& rtnetlink) -> Status {
    COFFER_TRY(const auto link, rtnetlink.link("peer"));
    peer.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kType)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kType);
    address.sll_ifindex = link.index;
    // SAFETY: sockaddr_ll is the address type of AF_PACKET sockets.
    if (::bind(peer.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return fail_errno(errno, "bind");
    }
    return {};
  }));
  constexpr std::size_t kVnetHeader = 10;  // struct virtio_net_hdr
  const auto sent = frame();
  std::array<std::uint8_t, kVnetHeader + 60> out{};
  std::ranges::copy(sent, out.begin() + kVnetHeader);
  ASSERT_EQ(::write(tap, out.data(), out.size()), ssize_t{out.size()});
  ASSERT_TRUE(readable(peer.get()));
  std::array<std::uint8_t, 2048> in_buffer{};
  ASSERT_EQ(::read(peer.get(), in_buffer.data(), in_buffer.size()), ssize_t{sent.size()});
  EXPECT_EQ(in_buffer[14], 42);

  ASSERT_EQ(::write(peer.get(), sent.data(), sent.size()), ssize_t{sent.size()});
  // The kernel's own frames (IPv6 discovery) may come first.
  while (true) {
    ASSERT_TRUE(readable(tap));
    ASSERT_GT(::read(tap, in_buffer.data(), in_buffer.size()), ssize_t{kVnetHeader + 14});
    if (in_buffer[kVnetHeader + 12] == (kType >> 8U) &&
        in_buffer[kVnetHeader + 13] == (kType & 0xffU)) {
      break;
    }
  }
  EXPECT_EQ(in_buffer[kVnetHeader + 14], 42);
}

TEST_F(PodNetworkTest, DisconnectsFromTheRecordAloneAndAgain) {
  auto network = connect_network(pod_, {.queues = 2});
  ASSERT_TRUE(network) << network.error().to_string();
  EXPECT_EQ(network->endpoints[0].taps.size(), 2U);
  const std::string record = network->record();
  EXPECT_THAT(pod_links(), testing::Contains("tap0_kata"));
  ASSERT_TRUE(disconnect_network(record));
  EXPECT_THAT(pod_links(), testing::UnorderedElementsAre("lo", "eth0"));
  EXPECT_TRUE(in(pod_, [](Rtnetlink& rtnetlink) -> Status {
    COFFER_TRY(const auto eth0, rtnetlink.link("eth0"));
    // Nothing is left that would refuse this.
    return rtnetlink.add_ingress_qdisc(eth0.index);
  }));
  EXPECT_TRUE(disconnect_network(record));
  EXPECT_TRUE(disconnect_network(record));
  ASSERT_TRUE(remove_netns(pod_));
  EXPECT_TRUE(disconnect_network(record));
}

TEST_F(PodNetworkTest, NoTapOutlivesItsDescriptors) {
  {
    const auto network = connect_network(pod_, {});
    ASSERT_TRUE(network) << network.error().to_string();
  }
  EXPECT_THAT(pod_links(), testing::UnorderedElementsAre("lo", "eth0"));
  // The qdisc that a killed shim leaves on the link is replaced.
  EXPECT_TRUE(connect_network(pod_, {}));
}

TEST_F(PodNetworkTest, WithoutAModelNothingIsWired) {
  const auto network = connect_network(pod_, {.model = NetworkModel::kNone});
  ASSERT_TRUE(network);
  EXPECT_THAT(network->endpoints, IsEmpty());
  EXPECT_THAT(pod_links(), testing::UnorderedElementsAre("lo", "eth0"));
  EXPECT_EQ(connect_network(pod_, {.model = NetworkModel::kMacvtap}).error().code(),
            Code::kUnimplemented);
}

TEST_F(PodNetworkTest, RefusesTheHostsNamespace) {
  const auto network = connect_network("/proc/self/ns/net", {});
  ASSERT_FALSE(network);
  EXPECT_EQ(network.error().code(), Code::kFailedPrecondition);
  EXPECT_FALSE(connect_network("/nonexistent", {}));
}

TEST_F(PodNetworkTest, AnEmptyNamespaceIsAPodWithoutNetwork) {
  const auto network = connect_network(host_, {});
  ASSERT_TRUE(network) << network.error().to_string();
  EXPECT_THAT(network->endpoints, IsEmpty());
  EXPECT_TRUE(disconnect_network(network->record()));
}

TEST(NetworkRecord, RefusesWhatIsNoRecord) {
  for (const auto* bad :
       {"", "[]", "{}", R"({"netns":1,"wires":[]})", R"({"netns":"/x"})",
        R"({"netns":"/x","wires":[1]})", R"({"netns":"/x","wires":[{"link":"a","tap":"eth0"}]})"}) {
    EXPECT_FALSE(disconnect_network(bad)) << bad;
  }
}

}  // namespace
}  // namespace coffer::shim
