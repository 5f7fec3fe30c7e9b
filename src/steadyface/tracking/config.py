"""Settings of the tracker, in one group per task.

Lengths in *face sizes* are multiples of `geometry.face_size`, √(width · height) of the landmarks' box;
lengths in *sides* are multiples of a region's side. Appearance distances are 1 - cosine, from 0 to 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadyface.errors import ConfigError


@dataclass(frozen=True)
class MotionConfig:
    """Motion model: a velocity that dies out while a face is not seen, with a tolerance that grows.

    Args:
        velocity_gain: weight of a newly measured velocity in the running mean, 0 to 1. Increasing it follows
            a change of motion sooner, but passes on more of the landmarks' noise.
        prediction_seconds: longest time over which the motion is extrapolated to place the region, s.
            Increasing it keeps the region on fast faces at low frame rates, but overshoots where they stop.
        stopping_seconds: time constant with which an unseen face is assumed to slow down, s. Increasing it
            finds faces further along their path, but also accepts other people there.
        position_noise: distance from the predicted path that costs 1 in matching, face sizes. Increasing it
            keeps the ids of jerky faces, but tells neighbours apart less well.
        process_noise: growth of `position_noise` per second unseen, face sizes/s. Increasing it keeps ids
            through longer occlusions, but risks giving them to somebody else.
        log_size_noise: change of ln(face size) that costs 1 in matching. Increasing it keeps ids while faces
            approach or turn, but tells near and far faces apart less well.
        log_size_process_noise: growth of `log_size_noise` per second unseen, 1/s; same effect.
        max_noise_seconds: time unseen after which both noises stop growing, s. Increasing it lets a face
            return from further away, but risks giving its id to somebody else.
        max_jump: deviation from the extrapolated position that ends a track at once, face sizes. Increasing
            it survives dropped frames and shaking cameras, but lets points leap to another face.
        max_jump_speed: growth of `max_jump` per second since the last frame, face sizes/s; same effect.
    """

    velocity_gain: float = 0.5
    prediction_seconds: float = 0.2
    stopping_seconds: float = 1.0
    position_noise: float = 0.25
    process_noise: float = 1.0
    log_size_noise: float = 0.3
    log_size_process_noise: float = 0.5
    max_noise_seconds: float = 2.0
    max_jump: float = 0.25
    max_jump_speed: float = 1.5


@dataclass(frozen=True)
class AppearanceConfig:
    """Appearance descriptor and the distances between two of them.

    Descriptors of one face mostly differ by less than 0.2, those of two faces half the time by more than 0.4.

    Args:
        cells: cells of the descriptor per side. Increasing it shows finer features, but makes the descriptor
            change with expression and with small errors of the landmarks.
        samples: px sampled per cell and axis. Increasing it averages out noise, but costs time.
        update_rate: weight of a new descriptor in a track's running mean, 0 to 1. Increasing it follows
            changes of light and pose, but lets wrong observations replace the face sooner.
        distance_scale: distance that costs 1 in matching. Increasing it keeps ids through changes of pose and
            light, but relies more on motion to tell faces apart.
        max_distance: distance from which on a descriptor counts as another face's. Increasing it rejects
            fewer true faces, but notices later that a track has drifted to somebody else.
        max_change: distance between successive frames above which the change counts as sudden. Increasing it
            tolerates fast turns, but misses exchanges of one face for another.
        unchanged: distance below which a face counts as unchanged across a cut or dissolve. Increasing it
            keeps tracks through partial cuts, but may carry a track on to another shot's face.
        identical: at a possible cut, a face of which a quarter differs by less than this distance is the
            same. Increasing it keeps the ids of faces that jerk or are covered suddenly, but may carry an id
            on to the face of another shot of like framing.
        same_person: at a possible cut, least cosine of the identity descriptors of one person's faces. It
            decides about faces that are not `identical` and differ by at most `max_change`. Increasing it
            ends more tracks of faces that jerk, but carries fewer ids on to other people.
        returned_person: the same for a face in a shot that returns. It is higher than `same_person`, since
            the face has been away.
    """

    cells: int = 8
    samples: int = 4
    update_rate: float = 0.05
    distance_scale: float = 0.13
    max_distance: float = 0.3
    max_change: float = 0.3
    unchanged: float = 0.1
    identical: float = 0.03
    same_person: float = 0.7
    returned_person: float = 0.8


@dataclass(frozen=True)
class MatchingConfig:
    """Duplicates, and the assignment of observations to tracks.

    Args:
        same_face_iou: IoU of two landmark boxes above which they are one face. Increasing it tracks faces
            that overlap, but risks two tracks on one face.
        same_face_distance: mean distance of corresponding landmarks below which two shapes are one face, face
            sizes. Increasing it removes more duplicates, but may drop a face close behind another.
        detection_iou: IoU with a tracked face above which a detection is not new. Increasing it finds faces
            beside tracked ones, but spends time on detections of tracked faces.
        max_cost: matching cost from which on an observation is not a lost face's. The cost is a sum of three
            terms (position, size, appearance), each about 1 at its tolerance. Increasing it gives returning
            faces their ids back more often, but also gives them to other people.
        switch_penalty: cost added to a change of a tracked face's id. Increasing it switches less between
            faces that meet, but corrects fewer wrong ids afterwards.
    """

    same_face_iou: float = 0.5
    same_face_distance: float = 0.2
    detection_iou: float = 0.35
    max_cost: float = 3.0
    switch_penalty: float = 1.0


@dataclass(frozen=True)
class OcclusionConfig:
    """Tests for faces that hide each other or are cut off by the border of the frame.

    Args:
        min_fraction: fraction of a face's box inside another's above which either may hide the other.
            Increasing it learns from more observations, but risks learning from the wrong face.
        head_margin: widening of each face's box to its head, sizes of the box on every side. Increasing it
            excludes more of the neighbour's hair from the descriptors, but leaves fewer to learn from.
        min_fraction_in_frame: fraction of a face's box inside the frame above which its descriptor counts as
            unoccluded. Increasing it keeps cut-off faces out, but leaves fewer to learn from.
        min_visible: fraction of a face's landmarks that the network takes to be visible, from which on its
            appearance counts in full in matching. Increasing it keeps the ids of faces that return from
            behind an object, but risks giving them to somebody else.
        occluder_distance: distance up to which another face may be what hid a lost one, face sizes.
            Increasing it reconsiders more ids when a face returns, but risks more switches.
    """

    min_fraction: float = 0.05
    head_margin: float = 0.4
    min_fraction_in_frame: float = 0.95
    min_visible: float = 0.7
    occluder_distance: float = 2.0


@dataclass(frozen=True)
class RoiConfig:
    """Region that the landmark network sees.

    The change of a region is its shift in sides plus the change of ln(side) plus the turn in radians.

    Args:
        min_gain: fraction of a small change that is followed per frame, 0 to 1. Increasing it follows slow
            motion more closely, but passes the landmarks' noise on to the next crop.
        hold: change up to which the region stays as it is. Increasing it keeps the crops of resting faces
            still, but centres those of slow faces less well.
        full_change: change over which the gain rises by 1. Increasing it smooths larger motion, but lets the
            region lag behind it.
        dead_zone: predicted shift up to which the region is not moved ahead, sides. Increasing it keeps the
            crops of slow faces still, but centres those of moving faces less well.
        prefetch_tolerance: change up to which landmarks computed ahead of time are used. Increasing it runs
            the network twice less often, but uses crops that fit less well.
    """

    min_gain: float = 0.15
    hold: float = 0.01
    full_change: float = 0.1
    dead_zone: float = 0.04
    prefetch_tolerance: float = 0.1


@dataclass(frozen=True)
class CutConfig:
    """Detection of cuts between shots.

    The novelty of a frame is 1 - its correlation with the last one. A frame begins another shot when its
    novelty exceeds both `min_novelty` and `ratio` · (`base_novelty` + the largest recent novelty).

    Args:
        width, height: of the thumbnails that are compared, px. Increasing them shows finer detail, but makes
            motion look novel.
        samples: px sampled per thumbnail px and axis. Increasing it averages out noise, but costs time.
        blur: σ of a Gaussian blur, thumbnail px. Increasing it ignores more motion, but misses cuts between
            similar pictures.
        template: side of the middle part that is searched for in the other thumbnail, as a fraction of its
            side. Increasing it compares more of the picture, but tolerates less panning.
        min_novelty: novelty that any cut exceeds. Increasing it gives fewer false cuts, but misses cuts
            between similar shots.
        ratio: novelty of a cut over that of recent frames. Increasing it tolerates faster motion, but misses
            cuts during motion.
        base_novelty: novelty that is always expected. Increasing it tolerates sudden motion, but misses cuts.
        initial_novelty: novelty expected at the start of a shot; same effect there.
        possible_novelty: novelty, more than `ratio` times that of recent frames, from which on a frame is a
            cut if the faces in it change too. Increasing it misses cuts between shots of like framing, but
            ends fewer tracks of faces that jerk.
        dissolve_novelty: novelty of the end of a dissolve against its beginning. Increasing it misses
            dissolves between similar pictures, but takes less motion for one.
        straightness: least length of the line from the beginning to the end over that of the path between, up
            to 1. Increasing it misses dissolves between moving pictures, but takes less motion for one.
        min_quarter: least part of the path in each quarter of a dissolve. Increasing it misses dissolves
            that begin and end slowly, but takes fewer jumps for one.
        min_progress: fraction of its mean pace below which a dissolve stands still. Increasing it ends
            dissolves that slow down too early, but others less often too late.
        beyond_motion: least fraction of a dissolve's change that no small motion explains. Increasing it
            misses dissolves between similar pictures, but takes fewer slow objects for one.
        same_scene: novelty of a shot's first frame against the end of an earlier shot up to which it returns.
            Increasing it finds faces again in shots with more motion, but risks giving their ids to others.
        scenes: number of earlier shots that are remembered; same effect.
        window: number of recent frames. Increasing it tolerates irregular motion, but misses cuts after it.
        flat_deviation: standard deviation of the grey levels below which a frame is blank and skipped.
            Increasing it skips fades too, but also dark and foggy shots.
        white_level: grey level that counts as saturated, up to 255. Increasing it notices fewer flashes, but
            mistakes fewer bright scenes for one.
        flash_fraction: growth of the fraction of saturated px that is a flash; same effect.
        max_flash_frames: frames that a flash may last. Increasing it skips longer flashes, but finds cuts to
            bright scenes later.
    """

    width: int = 32
    height: int = 24
    samples: int = 3
    blur: float = 1.0
    template: float = 0.6
    min_novelty: float = 0.12
    ratio: float = 3.5
    base_novelty: float = 0.02
    initial_novelty: float = 0.06
    possible_novelty: float = 0.03
    dissolve_novelty: float = 0.05
    straightness: float = 0.95
    min_quarter: float = 0.1
    min_progress: float = 0.3
    beyond_motion: float = 0.03
    same_scene: float = 0.12
    scenes: int = 16
    window: int = 5
    flat_deviation: float = 4.0
    white_level: float = 250.0
    flash_fraction: float = 0.1
    max_flash_frames: int = 4


@dataclass(frozen=True)
class VerifierConfig:
    """Check that a tracked region still shows a face.

    Args:
        interval_seconds: time between two checks of a face by the finder, s. Increasing it saves time, but
            keeps false tracks for longer.
        max_misses: failed checks in successive frames that end a track. Increasing it survives brief
            occlusions, but keeps false tracks for longer.
        min_size: length that both sides of a face's box must exceed, px. Increasing it drops faces that are
            too small for good landmarks, but also finds fewer.
        margin: side of the square that the finder sees, sizes of the face. Increasing it shows more of the
            surroundings, but makes the face smaller.
        side: side of the crop into which that square is resized, px. Increasing it shows finer detail, but
            costs time.
        samples: px of the frame sampled per px of the crop and axis. Increasing it averages out noise, but
            costs time.
    """

    interval_seconds: float = 0.2
    max_misses: int = 3
    min_size: float = 8.0
    margin: float = 1.6
    side: int = 48
    samples: int = 2


@dataclass(frozen=True)
class NamingConfig:
    """Names of people by their reference photographs.

    Args:
        min_similarity: least cosine of a face's descriptor with a person's. Increasing it gives fewer people
            a wrong name, but leaves more of the known ones unknown, children first.
        interval_seconds: time from a face's first descriptor to its second; each later one takes twice as
            long. Increasing it costs less time, but corrects a name later.
        longest_interval_seconds: limit of these intervals; same effect.
        least_weight: weight of a new descriptor in the mean of many. Increasing it follows changes of light
            and pose, but lets a bad observation change the name.
    """

    min_similarity: float = 0.44
    interval_seconds: float = 0.2
    longest_interval_seconds: float = 2.0
    least_weight: float = 0.1


@dataclass(frozen=True)
class CarryingConfig:
    """Frames in which measured motion carries a face's points, and the landmark network does not run.

    Args:
        settling: successive frames in which the network runs on a new face, and in `auto` on one that
            something has covered. Increasing it starts from steadier points, but carries later.
        longest: most frames from one run to the next in `auto`. Increasing it saves time, but finds points
            that drift later.
        min_valid: least fraction of the landmarks whose skin is seen to move with the face; below it the
            network runs at once. Increasing it runs more often where something covers the face.
        max_seconds: longest time between two frames over which points are carried, s. Increasing it carries
            at lower frame rates, but over larger motion.
        max_eye_change: change of the picture at an eye since the last run, in units of the face's contrast
            and beyond noise, from which on `auto` runs the network. Increasing it saves time, but follows
            blinks later.
        max_mouth_change: the same at the mouth, for words.
        max_drift: standard deviation that carried points may gain in `auto`, percent of face size; same
            effect for a moving head.
        max_surprise: mean distance of the network's points from the carried ones above which a face has to
            settle again in `auto`, percent of face size. Increasing it saves time, but trusts carried points
            that disagree with the network.
    """

    settling: int = 20
    longest: int = 6
    min_valid: float = 0.8
    max_seconds: float = 0.15
    max_eye_change: float = 0.05
    max_mouth_change: float = 0.03
    max_drift: float = 0.2
    max_surprise: float = 1.5


@dataclass(frozen=True)
class TrackerConfig:
    """Settings of a `Tracker`.

    Args:
        max_faces: most faces at a time. Of those found at once the largest are taken; a tracked face stays
            when a larger one appears. Increasing it tracks more people, but costs time for each, and for
            searching while there are fewer.
        accept: least score of a newly found face, 0 to 1: the mean of the better half of its points, since
            the other half cannot be seen from the side. Increasing it gives fewer false faces, but misses
            hard ones.
        keep: least score of a tracked face, of the same kind. Increasing it ends false tracks sooner, but
            also loses turned and covered faces.
        confirm: least confidence of the face finder in a tracked face, 0 to 1; 0 switches verification off.
            Increasing it ends false tracks sooner, but also loses turned and covered faces.
        redetect_seconds: time between two searches for new faces while there is room for one, s. Increasing
            it saves time, but finds new faces later.
        retry_seconds: the same while a face was lost less than `memory_seconds` ago, s.
        grace_seconds: time for which a lost face coasts in its last shape, s. Increasing it bridges longer
            gaps, but shows faces that have gone.
        memory_seconds: time for which a lost face's id is kept for its return, s. Increasing it recognises
            faces after longer absence, but risks giving their ids to somebody else.
        ended_seconds: the same for a face that a cut has ended, while its shot is away.
        count_seconds: time between two searches that only count the faces for which there is no room, s.
        motion, appearance, matching, occlusion, roi, cuts, verifier, naming, carrying: settings of the parts.

    Raises:
        ConfigError: `max_faces` is below 1, or a time is negative.
    """

    max_faces: int = 4
    accept: float = 0.88
    keep: float = 0.8
    confirm: float = 0.35
    redetect_seconds: float = 0.5
    retry_seconds: float = 0.1
    grace_seconds: float = 0.3
    memory_seconds: float = 3.0
    ended_seconds: float = 10.0
    count_seconds: float = 5.0
    motion: MotionConfig = MotionConfig()
    appearance: AppearanceConfig = AppearanceConfig()
    matching: MatchingConfig = MatchingConfig()
    occlusion: OcclusionConfig = OcclusionConfig()
    roi: RoiConfig = RoiConfig()
    cuts: CutConfig = CutConfig()
    verifier: VerifierConfig = VerifierConfig()
    naming: NamingConfig = NamingConfig()
    carrying: CarryingConfig = CarryingConfig()

    def __post_init__(self) -> None:
        if self.max_faces < 1:
            raise ConfigError(f"max_faces must be at least 1, got {self.max_faces}")
        for name, value in vars(self).items():
            if name.endswith("_seconds") and not value >= 0:
                raise ConfigError(f"{name} must be at least 0, got {value}")
