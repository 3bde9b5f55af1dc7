/* SPDX-License-Identifier: MIT */
/*
 * clear [NAME] [FRAMES]: Vulkan clears a picture to another colour each time, copies it to memory that it shares
 * with us, and each pixel is looked at. NAME has to be in that of the device. Ends with 0 when all is so.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

enum { SIDE = 128, PIXELS = SIDE * SIDE, CARDS_MAX = 8 };

static VkDevice dev;
static VkPhysicalDevice card;
static VkQueue queue;
static VkCommandBuffer cmd;
static VkFence fence;
static VkImage image;
static VkBuffer buffer;
static const uint32_t *pixels;

static void must(VkResult r, const char *what)
{
	if (r == VK_SUCCESS)
		return;
	fprintf(stderr, "%s: %d\n", what, r);
	exit(1);
}

#define MUST(call) must(call, #call)

static void find_card(const char *name)
{
	const VkApplicationInfo app = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app};
	VkPhysicalDevice cards[CARDS_MAX];
	VkPhysicalDeviceProperties p;
	VkInstance instance;
	uint32_t n = CARDS_MAX;

	MUST(vkCreateInstance(&info, NULL, &instance));
	if (vkEnumeratePhysicalDevices(instance, &n, cards) < 0)
		n = 0;
	for (uint32_t i = 0; i < n; i++) {
		vkGetPhysicalDeviceProperties(cards[i], &p);
		printf("device: %s\n", p.deviceName);
		card = cards[i];
		if (strstr(p.deviceName, name))
			return;
	}
	fprintf(stderr, "there is no device whose name has %s in it\n", name);
	exit(1);
}

static void make_device(void)
{
	const float priority = 1;
	const VkDeviceQueueCreateInfo q = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueCount = 1,
		.pQueuePriorities = &priority};
	const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &q};
	const VkCommandPoolCreateInfo pool_info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT};
	const VkFenceCreateInfo fence_info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
	VkCommandBufferAllocateInfo buffers = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandBufferCount = 1};

	MUST(vkCreateDevice(card, &info, NULL, &dev));
	vkGetDeviceQueue(dev, 0, 0, &queue);
	MUST(vkCreateCommandPool(dev, &pool_info, NULL, &buffers.commandPool));
	MUST(vkAllocateCommandBuffers(dev, &buffers, &cmd));
	MUST(vkCreateFence(dev, &fence_info, NULL, &fence));
}

/* Memory that will do for it, and of this kind. */
static VkDeviceMemory allocate(VkMemoryRequirements need, VkMemoryPropertyFlags kind)
{
	VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need.size};
	VkPhysicalDeviceMemoryProperties p;
	VkDeviceMemory memory;

	vkGetPhysicalDeviceMemoryProperties(card, &p);
	while (info.memoryTypeIndex < p.memoryTypeCount
		&& (!(need.memoryTypeBits >> info.memoryTypeIndex & 1)
			|| (p.memoryTypes[info.memoryTypeIndex].propertyFlags & kind) != kind))
		info.memoryTypeIndex++;
	MUST(vkAllocateMemory(dev, &info, NULL, &memory));
	return memory;
}

static void make_image(void)
{
	const VkImageCreateInfo info = {.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = {SIDE, SIDE, 1},
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT};
	VkMemoryRequirements need;

	MUST(vkCreateImage(dev, &info, NULL, &image));
	vkGetImageMemoryRequirements(dev, image, &need);
	MUST(vkBindImageMemory(dev, image, allocate(need, 0), 0));
}

static void make_buffer(void)
{
	const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = PIXELS * 4,
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
	VkMemoryRequirements need;
	VkDeviceMemory memory;
	void *at;

	MUST(vkCreateBuffer(dev, &info, NULL, &buffer));
	vkGetBufferMemoryRequirements(dev, buffer, &need);
	memory = allocate(
		need, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
	MUST(vkBindBufferMemory(dev, buffer, memory, 0));
	MUST(vkMapMemory(dev, memory, 0, VK_WHOLE_SIZE, 0, &at));
	pixels = at;
}

static void barrier(VkImageLayout from, VkImageLayout to, VkAccessFlags before, VkAccessFlags after)
{
	const VkImageMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.srcAccessMask = before,
		.dstAccessMask = after,
		.oldLayout = from,
		.newLayout = to,
		.image = image,
		.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};

	vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
		0, NULL, 0, NULL, 1, &b);
}

static void record(uint32_t pixel)
{
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
	const VkImageSubresourceRange all = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
	const VkBufferImageCopy copy = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
		.imageExtent = {SIDE, SIDE, 1}};
	VkClearColorValue colour;

	for (unsigned i = 0; i < 4; i++)
		colour.float32[i] = (float)(pixel >> 8 * i & 0xff) / 255.0f;
	MUST(vkBeginCommandBuffer(cmd, &begin));
	barrier(VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 0,
		VK_ACCESS_TRANSFER_WRITE_BIT);
	vkCmdClearColorImage(cmd, image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, &colour, 1, &all);
	barrier(VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
		VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_TRANSFER_READ_BIT);
	vkCmdCopyImageToBuffer(cmd, image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer, 1, &copy);
	MUST(vkEndCommandBuffer(cmd));
}

static void draw(uint32_t pixel)
{
	const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = 1,
		.pCommandBuffers = &cmd};

	record(pixel);
	MUST(vkQueueSubmit(queue, 1, &submit, fence));
	MUST(vkWaitForFences(dev, 1, &fence, VK_TRUE, UINT64_MAX));
	MUST(vkResetFences(dev, 1, &fence));
	for (unsigned i = 0; i < PIXELS; i++)
		if (pixels[i] != pixel) {
			fprintf(stderr, "pixel %u is 0x%08x, not 0x%08x\n", i, pixels[i], pixel);
			exit(1);
		}
}

int main(int argc, char **argv)
{
	uint32_t frames = argc > 2 ? (uint32_t)atoi(argv[2]) : 50;

	find_card(argc > 1 ? argv[1] : "");
	make_device();
	make_image();
	make_buffer();
	for (uint32_t i = 1; i <= frames; i++)
		draw(i * 0x9e3779b1u);
	printf("%u frames\n", frames);
	return 0;
}
